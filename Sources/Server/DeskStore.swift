import Files
package import Mailbox
import SystemPackage
import Wire

/// Keeps ``DeskRecords`` in `requests/records.json`.
package struct DeskStore: Sendable {
    package let home: Home
    package init(home: Home) { self.home = home }

    private static let maximumBytes = 64 << 20
    private var path: FilePath { home.requests.appending("records.json") }

    package func load() throws -> DeskRecords {
        guard try home.files.exists(path) else { return DeskRecords() }
        let bytes = try home.files.readFile(path, limit: Self.maximumBytes)
        do {
            let value = try StrictJSON.parse(bytes, maximumBytes: Self.maximumBytes)
            return try DeskRecords(json: value, context: "records.json")
        } catch {
            throw ServerError(.damaged, "\(path): \(error)", hint: "restore it from a backup")
        }
    }

    package func save(_ records: DeskRecords) throws {
        let bytes = StrictJSON.serialize(records.json, pretty: true)
        // What could not be read again must not take the place of what can.
        guard bytes.count <= Self.maximumBytes else {
            throw ServerError(
                .damaged,
                "records.json would have \(bytes.count) bytes, more than the \(Self.maximumBytes) that are read again",
                hint: "find out with 'consilium server requests' who asks so often, and revoke that key")
        }
        try home.files.writeFile(path, bytes)
    }
}
