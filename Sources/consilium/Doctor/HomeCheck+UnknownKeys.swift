import Bundles
import Mailbox
import Server
import Wire

extension HomeCheck {
    /// How many are named: anybody can make keys.
    private static let unknownKeysNamed = 5

    /// Whose bundles wait for an enrolment that is not there; at a hospital, for an introduction of its server's key.
    func unknownKeys() throws -> (good: Bool, text: String) {
        let all = try UnknownKey.load(from: home)
        let (keys, what, word) =
            switch home.role {
            case .server: (try DeskStore(home: home).load().withoutEnrolment(all), "enrolment", "enrolled")
            case .client: (all.filter { $0.name == home.record.server }, "introduction", "known")
            }
        guard !keys.isEmpty else { return (true, "no bundle waits for the \(what) of its key") }
        let lines = keys.prefix(Self.unknownKeysNamed).map {
            "bundles that say they are from \($0.name) wait since \($0.since.rfc3339): their key \($0.fingerprint) is not \(word) here"
        }
        let others = keys.count - lines.count
        return (
            false,
            (lines + (others > 0 ? ["and those of \(counted(others, "other key"))"] : [])).joined(separator: "; ")
        )
    }
}
