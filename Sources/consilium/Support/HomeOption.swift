import ArgumentParser
import Client
import Configuration
import Files
import Glibc
import Mailbox
import Server
import SystemPackage

/// Which home a command works on: `--home`, else the current folder if it is a home, else `CONSILIUM_HOME`.
struct HomeOption: ParsableArguments {
    @Option(
        help: "The home's folder (default: the current folder if it is one, else CONSILIUM_HOME).",
        completion: .directory)
    var home: String?

    /// - Parameter role: what the command needs.
    func open(_ role: HomeRole? = nil) throws -> Home {
        try Home.open(try folder(), role: role, files: LocalFileSystem())
    }

    /// The home with patience that ends for a share; see `Home.watchingShares`.
    func open(watching share: FilePath) throws -> Home {
        let home = try openOwn()
        return home.watchingShares(exchange: share, patience: try home.exchangeTimeout())
    }

    /// The folder, whether or not it is a home.
    func folder() throws -> FilePath {
        if let home { return Environment.path(home) }
        if Home.isHome(Environment.workingDirectory, files: LocalFileSystem()) { return Environment.workingDirectory }
        if let home = Environment.value("CONSILIUM_HOME") { return Environment.path(home) }
        throw CommandFailure(
            .usage, "no home is given", hint: "name one with --home DIR, or set CONSILIUM_HOME")
    }

    /// Who uses the command line, for the audit.
    static var actor: String { AuditLog.person(getuid()) }
}

extension Home {
    /// As configured, in seconds.
    func exchangeTimeout() throws -> Int64? {
        switch role {
        case .server: try ServerConfiguration.load(from: self).exchangeTimeout
        case .client: try ClientConfiguration.load(from: self).exchangeTimeout
        }
    }

    /// The pictures' folder, as configured; nil on a server.
    func data() throws -> FilePath? {
        guard role == .client else { return nil }
        return try ClientConfiguration.load(from: self).data.map { FilePath($0) }
    }

    /// As configured.
    func exchange() throws -> FilePath? {
        let text =
            switch role {
            case .server: try ServerConfiguration.load(from: self).exchange
            case .client: try ClientConfiguration.load(from: self).exchange
            }
        return text.map { FilePath($0) }
    }
}
