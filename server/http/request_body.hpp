// The body of a request as Beast reads it.
#pragma once

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional/optional.hpp>
#include <cstdint>
#include <string>

namespace solard::server {

// Models Beast's Body and BodyReader. Memory is allocated as the bytes arrive. Beast's string_body would
// allocate memory for the whole Content-Length before the first byte, even if the client sends no body.
struct RequestBody {
    using value_type = std::string;

    static std::uint64_t size(const value_type& body) { return body.size(); }

    class reader {  // NOLINT(readability-identifier-naming): the name is Beast's
      public:
        template <bool is_request, class Fields>
        reader(boost::beast::http::header<is_request, Fields>&, value_type& body) : body_(body) {}

        void init(const boost::optional<std::uint64_t>& content_length, boost::beast::error_code& ec) {
            max_capacity_ = static_cast<std::size_t>(content_length.value_or(SIZE_MAX));
            ec = {};
        }
        template <class Buffers>
        std::size_t put(const Buffers& buffers, boost::beast::error_code& ec) {
            const std::size_t num_new = boost::asio::buffer_size(buffers);
            const std::size_t size = body_.size() + num_new;
            if (size > body_.capacity()) grow(std::max(size, std::min(2 * body_.capacity(), max_capacity_)));
            for (const boost::asio::const_buffer buffer : boost::beast::buffers_range_ref(buffers))
                body_.append(static_cast<const char*>(buffer.data()), buffer.size());
            ec = {};
            return num_new;
        }
        void finish(boost::beast::error_code& ec) { ec = {}; }

      private:
        // Allocates exactly `capacity` bytes. body_.reserve() could allocate more.
        void grow(std::size_t capacity) {
            value_type larger;
            larger.reserve(capacity);
            larger.append(body_);
            body_.swap(larger);
        }

        value_type& body_;
        std::size_t max_capacity_ = SIZE_MAX;
    };
};

}  // namespace solard::server
