import SystemPackage
import Wire

/// Short forms for what commands print as JSON.
extension JSONValue {
    static func count(_ value: Int) -> JSONValue { .integer(Int64(value)) }
    static func texts(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }
    static func path(_ value: FilePath) -> JSONValue { .string(value.string) }

    /// Null for nil.
    static func optional<Value>(_ value: Value?, _ convert: (Value) -> JSONValue) -> JSONValue {
        value.map(convert) ?? .null
    }
}
