// Names for contents: equal texts have equal keys, and two texts that differ have different ones
// (but for one chance in 2^61 among two billion keys). RFC 9562, name-based UUIDs (version 5,
// SHA-1).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace widthwise {

using ContentKey = std::array<std::uint8_t, 16>;

/// Key of a text within a space of names, e.g. of a layer on a machine: the machine's key.
ContentKey content_key(std::string_view text, const ContentKey& space = {});

std::string to_hex(const ContentKey& key);  // 32 digits

}  // namespace widthwise
