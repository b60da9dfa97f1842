import ArgumentParser
import Bundles
import Files
import Mailbox
import SystemPackage

/// With which key an encrypted bundle is opened: the home's, or one from a file.
struct IdentityOption: ParsableArguments {
    @Option(help: "Age identity file to open an encrypted bundle with, as age -d -i reads it.", completion: .file())
    var identity: String?

    /// - Returns: none where nothing was named.
    func load(_ home: Home?) throws -> [AgeIdentity] {
        guard let identity else { return try home.map { try Identity.load(from: $0).ageIdentities } ?? [] }
        let path = try InputFile.file(identity)
        let bytes = try LocalFileSystem().readPrivateFile(path, limit: KeyFileLimits.keyBytes)
        do {
            return [try AgeIdentity(identityFile: bytes)]
        } catch {
            throw CommandFailure(.badData, "\(identity.printable): \(error)")
        }
    }
}
