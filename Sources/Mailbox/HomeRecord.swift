package import Wire

package enum HomeRole: String, CaseIterable, Sendable { case server, client }

/// Who a home is: `mailbox/home.json`, written once by `init`. The name in `consilium.yaml` must agree with it, since names
/// are what others trust.
package struct HomeRecord: Equatable, Sendable {
    package let role: HomeRole
    package let name: PartyName
    package let federation: RandomID
    /// The server's name; on a server its own.
    package let server: PartyName
    package let created: Timestamp

    package init(role: HomeRole, name: PartyName, federation: RandomID, server: PartyName, created: Timestamp) {
        self.role = role
        self.name = name
        self.federation = federation
        self.server = server
        self.created = created
    }

    private static let format = "consilium-home/1"

    var json: JSONValue {
        [
            "format": .string(Self.format), "role": .string(role.rawValue), "name": .string(name.text),
            "federation": .string(federation.hex), "server": .string(server.text), "created": .integer(created.seconds),
        ]
    }

    init(json: JSONValue) throws(JSONError) {
        var fields = try ObjectReader(json, context: "home.json")
        guard try fields.string("format") == Self.format else {
            throw fields.problem("format", "is of another version; use the program that made this home")
        }
        guard let role = HomeRole(rawValue: try fields.string("role")) else {
            throw fields.problem("role", "must be server or client")
        }
        self.role = role
        name = try fields.partyName("name")
        federation = try fields.randomID("federation")
        server = try fields.partyName("server")
        created = Timestamp(seconds: try fields.integer("created"))
        try fields.finish()
    }
}
