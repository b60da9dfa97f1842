import ArgumentParser
import Federation
import Reports
import Server
import Wire

struct ServerRequestsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "requests", abstract: "List the requests to train, and what became of them.",
        discussion: """
            EXAMPLES:
              consilium server requests --home /srv/ministry
              consilium server requests --pending
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Flag(help: "Only those that wait for a decision.")
    var pending = false

    func run() throws {
        let run = try ServerSession.open(home)
        let records = run.records.requests.filter { !pending || $0.status == .pending }
        /// How the hospital stands in the session that the request led to; nil where it takes part, or never did.
        func standing(_ record: DeskRecords.RequestRecord) -> String? {
            guard let session = run.sessions.first(where: { $0.id == record.session }),
                let participant = session[record.client]
            else { return nil }
            // The hospital left, and came back with a newer one.
            if participant.request != record.id { return "replaced" }
            return participant.standing == .active ? nil : participant.standing.rawValue
        }
        if output.json {
            return Console.print(json: [
                "schema_version": 1,
                "requests": .array(
                    records.map { record in
                        [
                            "request": .string(record.label), "client": .string(record.client.text),
                            "status": .string(record.status.rawValue), "reason": .string(record.reason),
                            "received": .string(record.received.rfc3339), "expires": .string(record.expires.rfc3339),
                            "session": record.session.map { .string($0.hex) } ?? .null,
                            "left_as": standing(record).map { .string($0) } ?? .null,
                            "asked": record.request.json, "id": .string(record.id.hex),
                        ]
                    }),
            ])
        }
        guard !records.isEmpty else { return Console.print(pending ? "no request waits" : "no request came yet") }
        var table = TextTable([("request", .left), ("hospital", .left), ("status", .left), ("asked", .left)])
        for record in records {
            let status = ([record.status.rawValue] + (standing(record).map { [$0] } ?? [])).joined(separator: ", ")
            table.add([record.label, record.client.text, status, record.lines.first ?? ""])
            for line in record.lines.dropFirst() { table.add(["", "", "", line]) }
        }
        Console.print(table.text)
    }
}
