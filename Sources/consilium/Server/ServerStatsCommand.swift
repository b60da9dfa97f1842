import ArgumentParser
import Federation
import Mailbox
import Reports
import Server
import Wire

struct ServerStatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Figures of the federation: hospitals, requests, sessions, rounds, pictures.",
        discussion: """
            EXAMPLES:
              consilium server stats --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let run = try ServerSession.open(home)
        let clients = run.mailbox.trust.parties.filter { $0.role == .client }.map(\.name)
        let rounds = run.sessions.flatMap(\.history)
        func count(_ status: DeskRecords.Status) -> Int { run.records.requests.count { $0.status == status } }
        let figures: [(key: String, text: String, value: Int)] = [
            ("clients", "hospitals enrolled", clients.count),
            ("requests_pending", "requests waiting", count(.pending)),
            ("requests_approved", "requests approved", count(.approved)),
            ("requests_rejected", "requests rejected", count(.rejected)),
            ("sessions_running", "sessions under way", run.sessions.count { !$0.isOver }),
            ("sessions_finished", "sessions finished", run.sessions.count { $0.state == .finished }),
            ("rounds", "rounds closed", rounds.count),
            ("updates", "updates counted", rounds.reduce(0) { $0 + $1.used.count }),
            ("versions", "versions kept", try run.versionNumbers().count),
        ]
        if output.json {
            var fields = Dictionary(uniqueKeysWithValues: figures.map { ($0.key, JSONValue.integer(Int64($0.value))) })
            fields["schema_version"] = 1
            fields["by_client"] = .array(clients.map { json($0, rounds) })
            return Console.print(json: .object(fields))
        }
        var table = TextTable([("", .left), ("", .right)])
        for figure in figures { table.add([figure.text, "\(figure.value)"]) }
        Console.print(String(table.text.drop { $0 == "\n" }))
        var byClient = TextTable([("hospital", .left), ("rounds counted", .right), ("examples", .right)])
        for client in clients {
            let counted = updates(of: client, rounds)
            byClient.add([client.text, "\(counted.count)", "\(counted.reduce(0) { $0 + $1.weight })"])
        }
        if !byClient.isEmpty { Console.print("\n" + byClient.text) }
    }

    private func updates(of client: PartyName, _ rounds: [ClosedRound]) -> [CountedUpdate] {
        rounds.compactMap { round in round.participants.first { $0.client == client }?.counted }
    }

    private func json(_ client: PartyName, _ rounds: [ClosedRound]) -> JSONValue {
        let counted = updates(of: client, rounds)
        return [
            "client": .string(client.text), "rounds": .integer(Int64(counted.count)),
            "weight": .integer(Int64(counted.reduce(0) { $0 + $1.weight })),
        ]
    }
}
