import Glibc
import SystemPackage
import Wire

/// Where text goes. Results to standard output; log, progress and errors to standard error.
///
/// Wording of an error: `consilium: ` and then what is wrong, with which file or field, in lower case without a full
/// stop; one optional `hint: ` line says what to do.
enum Console {
    static func print(_ text: String) {
        write(text + "\n", to: .standardOutput)
    }

    static func print(json value: JSONValue) {
        write(String(decoding: StrictJSON.serialize(value, pretty: true), as: UTF8.self), to: .standardOutput)
    }

    static func warn(_ text: String) {
        write("consilium: \(text)\n", to: .standardError)
    }

    static func fail(_ message: String, hint: String?) {
        warn(message.singleLine)
        if let hint { write("hint: \(hint)\n", to: .standardError) }
    }

    /// Text without a line end, for a progress line that is drawn over itself.
    static func writeProgress(_ text: String) {
        write(text, to: .standardError)
    }

    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// A reader that went away (`consilium ... | head`) is no failure of the command.
    private static func write(_ text: String, to stream: FileDescriptor) {
        _ = try? stream.writeAll(Array(text.utf8))
    }
}
