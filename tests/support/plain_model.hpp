// A second, simple forward pass of a Llama model: in double, one token after the other, with the weights as
// they are stored. The test passes the frequencies of RoPE, so that it decides by which formula they are
// made.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "inference/model/half.hpp"
#include "tests/support/hashed_model.hpp"

namespace solard::plain {

using Vector = std::vector<double>;

class Model {
  public:
    // `loaded` must outlive this object.
    explicit Model(const LoadedModel& loaded) : loaded_(loaded) {
        embedding_ = read(*loaded.tensors.embedding);
        for (const LayerTensors& tensors : loaded.tensors.layers) {
            layers_.push_back({read(*tensors.input_norm), read(*tensors.q_proj), read(*tensors.k_proj),
                               read(*tensors.v_proj), read(*tensors.o_proj), read(*tensors.post_norm),
                               read(*tensors.gate_proj), read(*tensors.up_proj), read(*tensors.down_proj)});
        }
        final_norm_ = read(*loaded.tensors.final_norm);
        lm_head_ = read(*loaded.tensors.lm_head);
    }

    // Returns the logits after each token, [tokens, vocab]. `frequencies` is [head_dim / 2].
    Vector logits(std::span<const TokenId> tokens, std::span<const double> frequencies) const {
        std::vector<Cache> caches(layers_.size());
        const auto hidden = static_cast<std::ptrdiff_t>(loaded_.config.hidden_size);
        Vector all;
        for (std::size_t position = 0; position < tokens.size(); ++position) {
            const auto row = embedding_.begin() + tokens[position] * hidden;
            Vector x(row, row + hidden);
            for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
                add(x, attend(layers_[layer], normed(x, layers_[layer].input_norm), frequencies,
                              static_cast<double>(position), caches[layer]));
                add(x, feed_forward(layers_[layer], normed(x, layers_[layer].post_norm)));
            }
            const Vector last = times(lm_head_, normed(x, final_norm_));
            all.insert(all.end(), last.begin(), last.end());
        }
        return all;
    }

  private:
    struct Layer {  // shapes as in LayerTensors
        Vector input_norm, q, k, v, o, post_norm, gate, up, down;
    };
    struct Cache {
        std::vector<Vector> keys;  // of each position: [kv_heads * head_dim]
        std::vector<Vector> values;
    };

    Vector read(const TensorInfo& tensor) const {
        std::vector<std::byte> bytes(tensor.num_bytes);
        loaded_.source.read(tensor, 0, bytes).value();
        Vector values(bytes.size() / 2);
        for (std::size_t i = 0; i < values.size(); ++i) {
            std::uint16_t half = 0;
            std::memcpy(&half, bytes.data() + 2 * i, sizeof half);
            values[i] = double{tensor.dtype == DType::bf16 ? float_from_bf16(half) : float_from_fp16(half)};
        }
        return values;
    }

    static void add(Vector& x, const Vector& addend) {
        for (std::size_t i = 0; i < x.size(); ++i) x[i] += addend[i];
    }
    static double dot(std::span<const double> a, std::span<const double> b) {
        double sum = 0;
        for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
        return sum;
    }
    // `matrix` is [out, x.size()].
    static Vector times(const Vector& matrix, const Vector& x) {
        Vector out(matrix.size() / x.size());
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = dot(std::span(matrix).subspan(i * x.size(), x.size()), x);
        return out;
    }

    Vector normed(const Vector& x, const Vector& weight) const {
        const double mean = dot(x, x) / static_cast<double>(x.size());
        const double scale = 1 / std::sqrt(mean + double{loaded_.config.rms_norm_eps});
        Vector out(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) out[i] = x[i] * scale * weight[i];
        return out;
    }

    // Rotates every head of `heads` in place.
    static void rotate(Vector& heads, std::span<const double> frequencies, double position) {
        const std::size_t half = frequencies.size();
        for (std::size_t head = 0; head < heads.size(); head += 2 * half) {
            for (std::size_t i = 0; i < half; ++i) {
                const double first = heads[head + i];
                const double second = heads[head + half + i];
                const double angle = position * frequencies[i];
                heads[head + i] = first * std::cos(angle) - second * std::sin(angle);
                heads[head + half + i] = second * std::cos(angle) + first * std::sin(angle);
            }
        }
    }

    Vector attend(const Layer& layer, const Vector& x, std::span<const double> frequencies, double position,
                  Cache& cache) const {
        const std::size_t head_dim = 2 * frequencies.size();
        const auto group = static_cast<std::size_t>(loaded_.config.num_heads / loaded_.config.num_kv_heads);
        Vector query = times(layer.q, x);
        rotate(query, frequencies, position);
        cache.keys.push_back(times(layer.k, x));
        rotate(cache.keys.back(), frequencies, position);
        cache.values.push_back(times(layer.v, x));
        Vector mixed(query.size());
        for (std::size_t head = 0; head * head_dim < query.size(); ++head) {
            const auto of_kv_head = [&](const Vector& heads) {
                return std::span(heads).subspan(head / group * head_dim, head_dim);
            };
            Vector weights;
            for (const Vector& keys : cache.keys) {
                const double score =
                    dot(std::span(query).subspan(head * head_dim, head_dim), of_kv_head(keys));
                weights.push_back(score / std::sqrt(static_cast<double>(head_dim)));
            }
            const double largest = *std::ranges::max_element(weights);
            double sum = 0;
            for (double& weight : weights) sum += weight = std::exp(weight - largest);
            for (std::size_t past = 0; past < weights.size(); ++past) {
                for (std::size_t i = 0; i < head_dim; ++i)
                    mixed[head * head_dim + i] += weights[past] / sum * of_kv_head(cache.values[past])[i];
            }
        }
        return times(layer.o, mixed);
    }

    static Vector feed_forward(const Layer& layer, const Vector& x) {
        Vector gate = times(layer.gate, x);
        const Vector up = times(layer.up, x);
        for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
        return times(layer.down, gate);
    }

    const LoadedModel& loaded_;
    Vector embedding_;
    std::vector<Layer> layers_;
    Vector final_norm_;
    Vector lm_head_;
};

}  // namespace solard::plain
