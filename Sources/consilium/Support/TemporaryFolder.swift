import Glibc
import SystemPackage

/// Folders in `TMPDIR`, or `/tmp`, that only their owner can look into. Whoever makes one removes it.
enum TemporaryFolder {
    /// - Parameter hint: what to do where none can be made.
    static func make(hint: String) throws -> FilePath {
        var template = Array("\(Environment.value("TMPDIR") ?? "/tmp")/consilium-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandFailure(.cannotCreate, "cannot make a temporary folder", hint: hint)
        }
        return FilePath(String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
}
