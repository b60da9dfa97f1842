import Files
import Mailbox
import Server
import SystemPackage
import Wire

/// Where the model lies that a command is to use: a file, or a version in a home.
///
/// 1. `--model FILE` is that file.
/// 2. In a hospital's home it is an accepted model, `models/NAME_FinalGlobal_vN.safetensors`; the highest N if none is given.
/// 3. In a server's home it is a version; the newest if none is given.
struct ModelLocation {
    let path: FilePath
    /// Nil for a file that a person names.
    let home: Home?
    let version: Int?

    /// - Throws: ``CommandFailure``, `ServerError`, `MailboxError` where there is no such model.
    static func find(home: HomeOption, model: String?, version: Int? = nil) throws -> ModelLocation {
        if let model {
            guard home.home == nil else {
                throw CommandFailure(.usage, "--home and --model both name a model", hint: "leave one of them out")
            }
            return ModelLocation(path: try InputFile.file(model), home: nil, version: nil)
        }
        guard let home = try home.openIfAny() else {
            throw CommandFailure(
                .usage, "no model is named", hint: "use --model FILE, or --home of a hospital that accepted one")
        }
        return try find(in: home, version: version)
    }

    static func find(in home: Home, version: Int? = nil) throws -> ModelLocation {
        switch home.role {
        case .server: try findVersion(in: home, version)
        case .client: try findAccepted(in: home, version)
        }
    }

    func open() throws -> ModelFile { try ModelFile(reading: path) }

    /// For JSON: which model an answer is from.
    var json: JSONValue {
        ["file": .path(path), "version": .optional(version) { .count($0) }]
    }

    private static func findVersion(in home: Home, _ version: Int?) throws -> ModelLocation {
        let store = VersionStore(home: home)
        guard let number = try version ?? store.head() else {
            throw CommandFailure(
                .missingInput, "\(home.root) has no model yet",
                hint: "run 'consilium model import' or 'consilium model init' first")
        }
        _ = try store.record(number)
        return ModelLocation(path: store.modelPath(number), home: home, version: number)
    }

    private static func findAccepted(in home: Home, _ version: Int?) throws -> ModelLocation {
        let accepted = try home.files.list(home.models).compactMap { entry -> (number: Int, path: FilePath)? in
            guard entry.kind == .regular, let number = number(of: entry.name, in: home) else { return nil }
            return (number, home.models.appending(entry.component))
        }
        guard let newest = accepted.max(by: { $0.number < $1.number }) else {
            throw CommandFailure(
                .missingInput, "\(home.root) has no accepted model yet",
                hint: "'consilium client updates' lists what was offered, 'consilium client accept N' installs it")
        }
        guard let version else { return ModelLocation(path: newest.path, home: home, version: newest.number) }
        guard let chosen = accepted.first(where: { $0.number == version }) else {
            let known = accepted.map(\.number).sorted().map { "\($0)" }.joined(separator: ", ")
            throw CommandFailure(
                .missingInput, "version \(version) is not among the accepted models", hint: "there are \(known)")
        }
        return ModelLocation(path: chosen.path, home: home, version: version)
    }

    /// The N of `NAME_FinalGlobal_vN.safetensors`, in digits only.
    private static func number(of name: String, in home: Home) -> Int? {
        let (prefix, suffix) = ("\(home.name)_FinalGlobal_v", ".safetensors")
        guard name.hasPrefix(prefix), name.hasSuffix(suffix), name.utf8.count > prefix.utf8.count + suffix.utf8.count
        else { return nil }
        let digits = name.dropFirst(prefix.count).dropLast(suffix.count)
        return digits.allSatisfy { $0.isASCII && $0.isNumber } ? Int(digits) : nil
    }
}
