// Says in words of XGrammar what a JSON Schema means.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace solard {

// Returns a schema that XGrammar takes for what `schema` says. why_not_supported() must have found nothing.
std::string schema_of_library(boost::json::value schema);

}  // namespace solard
