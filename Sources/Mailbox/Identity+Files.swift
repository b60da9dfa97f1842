import Files
import SystemPackage

extension Identity {
    /// Whether nothing lies in the place of a file that a run reads or writes there.
    ///
    /// - Throws: `identity` for a folder, a link, a pipe.
    package func requireRegularFiles(_ home: Home) throws(MailboxError) {
        let suffixes = [""] + (next == nil ? [] : [Self.nextSuffix])
        for suffix in suffixes {
            let path = Self.publicPath(home, suffix)
            let kind = try onDisk { () throws(FileError) in try home.files.status(path)?.kind }
            guard let kind, kind != .regular else { continue }
            throw MailboxError(
                .identity, "\(path) is no plain file",
                hint: "remove it: the next run writes it anew from the private key")
        }
    }
}
