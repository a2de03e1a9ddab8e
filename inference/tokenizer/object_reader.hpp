// Reads the objects of a JSON file of a tokenizer key by key, and says which key is wrong.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace solard {

// The first problem that was found in a file: a clause that begins with the key, such as
// "model.dropout is 0.1, expected null or 0". Later problems are ignored, so that a caller can read
// everything and then look once.
class JsonProblem {
  public:
    void set(std::string clause) {
        if (clause_.empty()) clause_ = std::move(clause);
    }
    bool empty() const { return clause_.empty(); }
    const std::string& clause() const { return clause_; }

  private:
    std::string clause_;
};

// Typed access to one object. A null counts as absent, as it does for the library that writes these files
// (Hugging Face tokenizers). After a problem, every function returns a harmless value.
class ObjectReader {
  public:
    // `path` is the key of the object in its file, such as "model"; it is empty for the whole file. All
    // parameters except `path` must outlive the reader.
    ObjectReader(const boost::json::object& object, std::string path, JsonProblem& problem);

    // Returns nullptr if the key is absent.
    const boost::json::value* find(std::string_view key);
    bool boolean(std::string_view key, bool absent);
    std::string string(std::string_view key);  // must be there
    std::string string(std::string_view key, std::string_view absent);
    // Returns an integer in [0, 2^31).
    std::int32_t integer(std::string_view key);
    const boost::json::array* array(std::string_view key);  // must be there, unless nullptr is returned
    // Returns nothing if the key is absent or is no object.
    std::optional<ObjectReader> object(std::string_view key);
    // Reads a list of objects that must be there.
    std::vector<ObjectReader> objects(std::string_view key);

    // Records that the value of `key` is not what it should be.
    void refuse(std::string_view key, std::string_view expected);
    // Records a problem if the object has a key that was never asked for: it could change the meaning of the
    // object. Must be called last.
    void refuse_other_keys();
    // Tells refuse_other_keys() that a key has no effect here.
    void ignore(std::string_view key) { (void)find(key); }

    const boost::json::object& object() const { return *object_; }
    const std::string& path() const { return path_; }
    JsonProblem& problem() { return *problem_; }

  private:
    std::string path_of(std::string_view key) const;

    const boost::json::object* object_;
    std::string path_;
    JsonProblem* problem_;
    std::vector<std::string> known_keys_;
};

}  // namespace solard
