import Files
import Mailbox

extension HomeOption {
    /// For commands that can do without a home.
    ///
    /// - Returns: nil where nothing names one.
    /// - Throws: `MailboxError` where what is named is none, or not of the role.
    func openIfAny(_ role: HomeRole? = nil) throws -> Home? {
        guard let folder = try? folder() else { return nil }
        return try Home.open(folder, role: role, files: LocalFileSystem())
    }
}
