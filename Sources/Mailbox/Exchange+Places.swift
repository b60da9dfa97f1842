import Files
package import SystemPackage
import Wire

/// Folders that are no exchange, though they can be taken for one: a home has an `inbox/` and an `outbox/` as a flat exchange
/// has, and in any other folder one for the hospital would be made, which nobody looks into.
extension Exchange {
    /// - Parameter path: absolute.
    /// - Throws: `MailboxError` `.configuration` where the path alone says that it is none.
    static func requireNotOwn(_ path: FilePath, of home: Home) throws(MailboxError) {
        let path = path.lexicallyNormalized()
        guard path.components.count > 0 else { throw refusal(path, "the root of the file system") }
        let own = home.root.lexicallyNormalized()
        guard isWithin(path, own) else { return }
        throw refusal(path, path == own ? "this home itself" : "inside this home")
    }

    /// - Parameter path: absolute, and there.
    /// - Throws: `MailboxError` `.configuration` that names what it is. Whoever may write to a share can make it look like a
    ///   home: a run says so and goes on without it.
    static func requireNoHome(_ path: FilePath, of home: Home) throws(MailboxError) {
        try requireNotOwn(path, of: home)
        let path = path.lexicallyNormalized()
        var folder = path
        while folder.components.count > 0 {
            if isWithin(path, folder), Home.isHome(folder, files: home.files) {
                throw refusal(path, folder == path ? "a home" : "inside the home \(folder)")
            }
            folder.removeLastComponent()
        }
        // What lies in a hospital's folder of an exchange is no home's either.
        let named = path.appending(home.name.text)
        if home.role == .client, Home.isHome(named, files: home.files) {
            throw refusal(path, "the folder of the home \(named)")
        }
    }

    /// Whether it is this home, or in one of its own folders.
    private static func isWithin(_ path: FilePath, _ home: FilePath) -> Bool {
        guard path.starts(with: home) else { return false }
        let inside = path.components.dropFirst(home.components.count).first
        return inside.map { Home.folderNames.contains($0.string) } ?? true
    }

    /// - Parameters:
    ///   - root: as configured or given.
    ///   - data: the pictures' folder; nil where none is configured.
    package static func requireNoPictures(_ root: FilePath, data: FilePath?, of home: Home) throws(MailboxError) {
        guard let data else { return }
        let path = self.path(root, of: home).lexicallyNormalized()
        let pictures = home.root.pushing(data).lexicallyNormalized()
        guard path.starts(with: pictures) else { return }
        throw refusal(path, path == pictures ? "the pictures' folder" : "inside the pictures' folder \(pictures)")
    }

    private static func refusal(_ path: FilePath, _ what: String) -> MailboxError {
        MailboxError(
            .configuration, "\(path) is \(what), and no exchange",
            hint: "name a folder of a share or a stick that is for bundles alone")
    }
}
