import Glibc
import Mailbox
import SystemPackage

/// Whose a home is. What root writes into another account's home stays root's, and stops each later run of that account.
struct HomeOwner {
    let uid: uid_t

    init(uid: uid_t) { self.uid = uid }

    /// - Returns: nil where the system does not say; then the run itself will tell why.
    init?(of path: FilePath) {
        var status = stat()
        guard path.withPlatformString({ lstat($0, &status) }) == 0 else { return nil }
        uid = status.st_uid
    }

    /// As `chown` and `sudo -u` take it.
    var name: String {
        guard let entry = getpwuid(uid) else { return "#\(uid)" }
        return String(cString: entry.pointee.pw_name)
    }
}

extension HomeOption {
    /// For commands that write: a home that root does not own is left alone by root. Other accounts write what their permissions
    /// allow.
    func openOwn(_ role: HomeRole? = nil) throws -> Home {
        let home = try open(role)
        try home.requireOwnerOverRoot()
        return home
    }
}

extension Home {
    func requireOwnerOverRoot() throws {
        guard geteuid() == 0, let owner = HomeOwner(of: root), owner.uid != 0 else { return }
        throw CommandFailure(
            .refused, "\(root) belongs to \(owner.name), whose later runs could not use what root writes there",
            hint: "run it as that user: sudo -u \(owner.name) consilium ...")
    }
}
