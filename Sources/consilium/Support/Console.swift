import Glibc
import Synchronization
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

    /// How many characters a line of the terminal holds just now; nil where that is not known.
    static var errorColumns: Int? {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Why a result did not reach standard output whole: then the command has not done what it was asked for.
    ///
    /// Told at the end, and not where it happens: what is to be written down comes first.
    static var lostOutput: CommandFailure? {
        outputError.withLock { $0 }.map {
            CommandFailure(.inputOutput, "cannot write to standard output: \($0.description.lowercased())")
        }
    }

    private static let outputError = Mutex<Errno?>(nil)

    /// A reader that went away (`consilium ... | head`) is no failure of the command.
    private static func write(_ text: String, to stream: FileDescriptor) {
        do {
            try stream.writeAll(Array(text.utf8))
        } catch {
            guard stream == .standardOutput, let error = error as? Errno, error != .brokenPipe else { return }
            outputError.withLock { $0 = $0 ?? error }
        }
    }
}
