package import Federation
import Files
package import Mailbox
import SystemPackage
package import Wire

/// The hospital's own record of the rounds it trained: `history/rounds.jsonl`, one line a round. Nothing depends on it.
package enum ClientHistory {
    package struct Line: Sendable {
        package let time: Timestamp
        package let session: RandomID
        package let metrics: UpdateMetrics

        package var json: JSONValue {
            ["time": .string(time.rfc3339), "session": .string(session.hex), "metrics": metrics.json]
        }
    }

    private static let maximumBytes = 64 << 20
    private static func path(_ home: Home) -> FilePath { home.history.appending("rounds.jsonl") }

    static func append(_ metrics: UpdateMetrics, session: RandomID, time: Timestamp, to home: Home) throws {
        let line = Line(time: time, session: session, metrics: metrics)
        try home.files.appendFile(path(home), StrictJSON.serialize(line.json))
    }

    /// A last line that a kill tore is left out, and so is a line that stands there twice.
    package static func load(from home: Home) throws -> [Line] {
        guard try home.files.exists(path(home)) else { return [] }
        let bytes = try home.files.readFile(path(home), limit: maximumBytes)
        var lines: [Line] = []
        for text in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let value = try? StrictJSON.parse(Array(text), maximumBytes: 1 << 20),
                var object = try? ObjectReader(value, context: "rounds.jsonl"),
                let written = try? object.string("time"),
                let time = Timestamp(rfc3339: written), let session = try? object.randomID("session"),
                let content = try? object.value("metrics"),
                let metrics = try? UpdateMetrics(json: content, context: "rounds.jsonl")
            else { continue }
            lines.removeAll { $0.session == session && $0.metrics.round == metrics.round }
            lines.append(Line(time: time, session: session, metrics: metrics))
        }
        return lines
    }
}
