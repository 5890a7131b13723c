// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Messages that are declared once. A struct that is listed with EDGELAM_MESSAGE can describe its own memory layout in
/// NumPy's terms, so that Python builds its structured types from the declaration:
///
///     struct Position { double x_m; double y_m; std::array<float, 3> velocity_mps; };
///     EDGELAM_MESSAGE(Position, x_m, y_m, velocity_mps)
///
/// The macro must be at namespace scope, in the namespace of the struct. It takes up to 64 fields: integers, float,
/// double, bool, enumerations (as their integers), std::complex<float> and <double>, char[N] (NumPy 'S', padded with
/// zeros), std::array and C arrays of these, and other structs that were listed before. It must list every field, in
/// order: if a field is left out, the code does not compile.
#pragma once

#include <array>
#include <bit>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace edgelam::bridge {

static_assert(std::endian::native == std::endian::little, "the dtype strings below say little-endian");

/// One field of a message. `dtype` is JSON: a NumPy dtype string in quotes, or a nested description.
struct FieldDescription {
    std::string name;
    std::string dtype;
    std::size_t offset;
    std::vector<std::size_t> shape; ///< empty for one value
};

template<class T>
std::string DescribeJson();

namespace detail {

/// The place of a field, as far as the compiler can check it.
struct FieldPlace {
    std::size_t offset, size, alignment;
};

/// True if the fields, laid out one after another as in C++, fill a struct of this size and alignment.
template<std::size_t N>
constexpr bool CoversStruct(const std::array<FieldPlace, N>& fields, std::size_t size, std::size_t alignment) {
    const auto align = [](std::size_t at, std::size_t to) { return (at + to - 1) / to * to; };
    std::size_t end = 0;
    for (const auto& field : fields) {
        if (field.offset != align(end, field.alignment)) {
            return false;
        }
        end = field.offset + field.size;
    }
    return align(end, alignment) == size;
}

template<class T>
struct IsStdArray : std::false_type {};
template<class T, std::size_t N>
struct IsStdArray<std::array<T, N>> : std::true_type {};

template<class T>
concept Listed = requires(const T* t) { EdgelamName(t); };

/// The NumPy string of a scalar type, for example "<f8".
template<class T>
std::string ScalarDtype() {
    if constexpr (std::is_enum_v<T>) {
        return ScalarDtype<std::underlying_type_t<T>>();
    } else if constexpr (std::same_as<T, bool>) {
        return "|b1";
    } else if constexpr (std::same_as<T, std::complex<float>>) {
        return "<c8";
    } else if constexpr (std::same_as<T, std::complex<double>>) {
        return "<c16";
    } else if constexpr (std::same_as<T, float> || std::same_as<T, double>) {
        return "<f" + std::to_string(sizeof(T));
    } else {
        static_assert(
            std::integral<T>,
            "a field of EDGELAM_MESSAGE, an observable or a control has a type that NumPy has no dtype for. "
            "There are numbers, enums, structs that EDGELAM_MESSAGE lists, arrays of these as fields, and as a "
            "whole std::array, std::vector (one dimension) and edgelam::Array (any number)");
        const std::string order(sizeof(T) == 1 ? "|" : "<");
        return order + (std::signed_integral<T> ? "i" : "u") + std::to_string(sizeof(T));
    }
}

/// Removes the array dimensions from T and adds them to `shape`; returns the dtype of what is left, as JSON.
template<class T>
std::string ElementDtype(std::vector<std::size_t>& shape) {
    if constexpr (std::is_array_v<T>) {
        using Element = std::remove_extent_t<T>;
        if constexpr (std::same_as<Element, char>) {
            return "\"|S" + std::to_string(std::extent_v<T>) + "\"";
        } else {
            shape.push_back(std::extent_v<T>);
            return ElementDtype<Element>(shape);
        }
    } else if constexpr (IsStdArray<T>::value) {
        using Element = typename T::value_type;
        if constexpr (std::same_as<Element, char>) {
            return "\"|S" + std::to_string(sizeof(T)) + "\"";
        } else {
            shape.push_back(std::tuple_size_v<T>);
            return ElementDtype<Element>(shape);
        }
    } else {
        return DescribeJson<T>();
    }
}

template<class T>
FieldDescription DescribeField(std::string_view name, std::size_t offset) {
    FieldDescription field{std::string(name), "", offset, {}};
    field.dtype = ElementDtype<T>(field.shape);
    return field;
}

inline std::string LastPart(std::string_view qualified) {
    const auto at = qualified.rfind(':');
    return std::string(at == std::string_view::npos ? qualified : qualified.substr(at + 1));
}

} // namespace detail

/// The fields of a struct listed with EDGELAM_MESSAGE.
template<detail::Listed T>
std::vector<FieldDescription> DescribeFields() {
    return EdgelamFields(static_cast<const T*>(nullptr));
}

template<detail::Listed T>
std::string MessageName() {
    return detail::LastPart(EdgelamName(static_cast<const T*>(nullptr)));
}

/// The layout of T as JSON: a NumPy dtype string in quotes for a scalar ("\"<f8\""), otherwise
/// {"name": str, "itemsize": int, "fields": [{"name": str, "dtype": (string or such an object), "offset": int,
/// "shape": [int...]}...]}.
template<class T>
std::string DescribeJson() {
    if constexpr (detail::Listed<T>) {
        std::string json =
            "{\"name\": \"" + MessageName<T>() + "\", \"itemsize\": " + std::to_string(sizeof(T)) + ", \"fields\": [";
        const char* comma = "";
        for (const auto& field : DescribeFields<T>()) {
            json += comma + ("{\"name\": \"" + field.name) + "\", \"dtype\": " + field.dtype +
                    ", \"offset\": " + std::to_string(field.offset) + ", \"shape\": [";
            comma = "";
            for (const auto extent : field.shape) {
                json += comma + std::to_string(extent);
                comma = ", ";
            }
            json += "]}";
            comma = ", ";
        }
        return json + "]}";
    } else {
        return '"' + detail::ScalarDtype<T>() + '"';
    }
}

/// A list of messages; a message's type number is its place in it.
template<class... M>
struct MessageList {
    static constexpr std::uint16_t size = sizeof...(M);

    /// The type number of T.
    template<class T>
    static consteval std::uint16_t TypeOf() {
        static_assert((std::same_as<T, M> || ...), "not a message of this list");
        std::uint16_t place = 0;
        bool found = false;
        ((found = found || std::same_as<T, M>, place += found ? 0 : 1), ...);
        return place;
    }

    /// The size of the struct with this type number; 0 if there is none.
    static constexpr std::size_t SizeOf(std::uint16_t type) {
        constexpr std::array<std::size_t, sizeof...(M)> sizes{sizeof(M)...};
        return type < size ? sizes[type] : 0;
    }

    static std::string NameOf(std::uint16_t type) {
        const std::array<std::string, sizeof...(M)> names{MessageName<M>()...};
        return type < size ? names[type] : "message " + std::to_string(type);
    }

    /// JSON: the result of DescribeJson for each message, with its "type" in front.
    static std::string DescribeAllJson() {
        std::string json;
        int type = 0;
        ((json +=
          (type == 0 ? "[" : ", ") + ("{\"type\": " + std::to_string(type)) + ", " + DescribeJson<M>().substr(1),
          ++type),
         ...);
        return json + "]";
    }

    /// The same, with one line for each fact ("Wait.deadline_ns<TAB>type 0, ..."), to be compared line by line at
    /// attach.
    static std::string DescribeAllLines() {
        std::string lines;
        int type = 0;
        (DescribeLines<M>(type++, lines), ...);
        return lines;
    }

  private:
    template<class T>
    static void DescribeLines(int type, std::string& lines) {
        lines += MessageName<T>() + "\ttype " + std::to_string(type) + ", " + std::to_string(sizeof(T)) + " bytes\n";
        for (const auto& field : DescribeFields<T>()) {
            lines +=
                MessageName<T>() + "." + field.name + "\t" + field.dtype + " at byte " + std::to_string(field.offset);
            for (const auto extent : field.shape) {
                lines += " [" + std::to_string(extent) + "]";
            }
            lines += "\n";
        }
    }
};

} // namespace edgelam::bridge

// F(Struct, field) for each of up to 64 fields, with commas between them: the rescanning of EDGELAM_EXPAND makes the
// loop.
#define EDGELAM_PARENS ()
#define EDGELAM_EXPAND(...) EDGELAM_EXPAND3(EDGELAM_EXPAND3(EDGELAM_EXPAND3(EDGELAM_EXPAND3(__VA_ARGS__))))
#define EDGELAM_EXPAND3(...) EDGELAM_EXPAND2(EDGELAM_EXPAND2(EDGELAM_EXPAND2(EDGELAM_EXPAND2(__VA_ARGS__))))
#define EDGELAM_EXPAND2(...) EDGELAM_EXPAND1(EDGELAM_EXPAND1(EDGELAM_EXPAND1(EDGELAM_EXPAND1(__VA_ARGS__))))
#define EDGELAM_EXPAND1(...) __VA_ARGS__
#define EDGELAM_FOR_EACH(F, Struct, ...) __VA_OPT__(EDGELAM_EXPAND(EDGELAM_STEP(F, Struct, __VA_ARGS__)))
#define EDGELAM_STEP(F, Struct, field, ...)                                                                            \
    F(Struct, field) __VA_OPT__(, EDGELAM_STEP_AGAIN EDGELAM_PARENS(F, Struct, __VA_ARGS__))
#define EDGELAM_STEP_AGAIN() EDGELAM_STEP

#define EDGELAM_DESCRIBE_FIELD(Struct, field)                                                                          \
    ::edgelam::bridge::detail::DescribeField<decltype(Struct::field)>(#field, offsetof(Struct, field))
#define EDGELAM_PLACE_FIELD(Struct, field)                                                                             \
    ::edgelam::bridge::detail::FieldPlace {                                                                            \
        offsetof(Struct, field), sizeof(Struct::field), alignof(decltype(Struct::field))                               \
    }

/// Lists the fields of a struct; see the beginning of this file.
#define EDGELAM_MESSAGE(Struct, ...)                                                                                   \
    static_assert(std::is_trivially_copyable_v<Struct> && std::is_standard_layout_v<Struct>,                           \
                  #Struct " crosses as plain bytes: no pointers, no virtual functions, no std::string");               \
    static_assert(                                                                                                     \
        ::edgelam::bridge::detail::CoversStruct(                                                                       \
            std::array{EDGELAM_FOR_EACH(EDGELAM_PLACE_FIELD, Struct, __VA_ARGS__)}, sizeof(Struct), alignof(Struct)),  \
        "EDGELAM_MESSAGE(" #Struct ", ...) must list every field, in the order of the declaration");                   \
    [[maybe_unused]] inline const char* EdgelamName(const Struct*) {                                                   \
        return #Struct;                                                                                                \
    }                                                                                                                  \
    [[maybe_unused]] inline std::vector<::edgelam::bridge::FieldDescription> EdgelamFields(const Struct*) {            \
        return {EDGELAM_FOR_EACH(EDGELAM_DESCRIBE_FIELD, Struct, __VA_ARGS__)};                                        \
    }
