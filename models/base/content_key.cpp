#include "models/base/content_key.hpp"

#include <algorithm>

#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>
#include <fmt/format.h>

namespace widthwise {

ContentKey content_key(std::string_view text, const ContentKey& space) {
  boost::uuids::uuid space_id{};
  std::copy(space.begin(), space.end(), space_id.begin());
  const boost::uuids::name_generator_sha1 names(space_id);
  const boost::uuids::uuid id = names(text.data(), text.size());
  ContentKey key;
  std::copy(id.begin(), id.end(), key.begin());
  return key;
}

std::string to_hex(const ContentKey& key) {
  std::string hex;
  for (const std::uint8_t byte : key) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace widthwise
