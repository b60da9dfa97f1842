import ArgumentParser
import Glibc
import Logging
import Mailbox
import SystemPackage
import Wire

/// The flags that every command shares.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print one JSON document instead of text.")
    var json = false

    @Flag(name: .shortAndLong, help: "Print only errors, what a person has to decide, and what was asked for.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "Say what is done, and why nothing is.")
    var verbose = false
}

/// The environment as the commands read it. `CONSILIUM_*` variables rank below flags and above the configuration.
enum Environment {
    static func value(_ name: String) -> String? {
        guard let pointer = getenv(name) else { return nil }
        let text = String(cString: pointer)
        return text.isEmpty ? nil : text
    }

    /// The time of this run, taken once. `CONSILIUM_NOW` (RFC 3339, UTC) replaces the clock, for rehearsals and tests.
    static func now() throws -> Timestamp {
        if let text = value("CONSILIUM_NOW") {
            guard let now = Timestamp(rfc3339: text) else {
                throw CommandFailure(
                    .usage, "CONSILIUM_NOW: \(text) is not a time", hint: "write it as 2026-03-01T04:05:06Z")
            }
            return now
        }
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec))
    }

    /// `CONSILIUM_LOG` (trace, debug, info, warning, error) opens the log on standard error, for whoever looks for a fault.
    static func startLogging() throws {
        var level = Logger.Level.error
        if let text = value("CONSILIUM_LOG") {
            guard let named = Logger.Level(rawValue: text) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw CommandFailure(.usage, "CONSILIUM_LOG: '\(text)' is not a level", hint: "use one of \(known)")
            }
            level = named
        }
        let chosen = level
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = chosen
            return handler
        }
    }

    static var workingDirectory: FilePath {
        guard let pointer = getcwd(nil, 0) else { return "/" }
        defer { free(pointer) }
        return FilePath(String(cString: pointer))
    }

    /// A path from the command line as an absolute one.
    static func path(_ text: String) -> FilePath {
        workingDirectory.pushing(FilePath(text)).lexicallyNormalized()
    }
}
