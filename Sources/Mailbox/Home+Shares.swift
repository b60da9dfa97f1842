import Files
package import SystemPackage

extension Home {
    /// The same home with patience that ends: operations on the exchange, and on an inbox or outbox that lies on another file
    /// system than the home, fail when they have not ended in time; see `ShareGuard`.
    ///
    /// - Parameters:
    ///   - exchange: as configured or given.
    ///   - patience: for one operation, in seconds; nil: the usual one.
    ///   - locking: whether a share that an earlier run still hangs in is left alone. To be set by whoever holds the home's
    ///     own lock.
    package func watchingShares(
        exchange: FilePath?, patience: Int64?, locking: Bool = true
    ) -> Home {
        let patience = Duration.seconds(patience ?? ShareGuard.usualPatience)
        func share(_ root: FilePath, _ name: String) -> ShareGuard {
            ShareGuard(root: root, patience: patience, lockPath: locking ? shareLockPath(name) : nil, files: files)
        }
        var guards: [ShareGuard] = []
        if let exchange { guards.append(share(Exchange.path(exchange, of: self), "exchange")) }
        for (folder, name) in [(inbox, "inbox"), (outbox, "outbox")] {
            let candidate = share(folder, name)
            if isElsewhere(folder, candidate) { guards.append(candidate) }
        }
        return Home(root: root, record: record, files: GuardedFileSystem(files, guards: guards))
    }

    /// Whether a folder is a link or a mount. The look itself may hang, and is guarded too.
    private func isElsewhere(_ folder: FilePath, _ share: ShareGuard) -> Bool {
        let looking = GuardedFileSystem(files, guards: [share.withoutLock])
        do throws(FileError) {
            guard let status = try looking.status(folder) else { return false }
            if status.kind == .symlink { return true }
            return try files.status(root)?.device != status.device
        } catch {
            return error.isUnreachable
        }
    }
}
