import ArgumentParser
import Mailbox
import Reports
import Wire

struct DoctorCommand: ParsableCommand, UsesShares {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check a home: keys, permissions, configuration, clock, shares, disks; says what to do.",
        discussion: """
            Whether the home can be written to and is one account's, who else may write there, keys, a hospital's pictures, \
            trust, what earlier runs wrote down, clock, audit, the exchange and its file system, room on the disks, unfinished files that stopped runs left, the inbox, what nobody acknowledged, quarantine. Exit status 78 when \
            something has to be mended.

            EXAMPLES:
              consilium doctor --home /srv/ministry
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions

    /// A configuration that cannot be read is for the checks to find.
    func touchesShare() throws -> Bool { ((try? home.open().exchange()) ?? nil) != nil }

    func run() throws {
        let findings = HomeCheck(home: try home.open(), now: try Environment.now()).findings()
        if output.json {
            Console.print(json: [
                "schema_version": 1,
                "findings": .array(
                    findings.map {
                        [
                            "check": .string($0.check), "ok": .bool($0.isGood), "found": .string($0.text),
                            "advice": .string($0.advice), "checked": .bool($0.isMade),
                        ]
                    }),
            ])
        } else {
            for finding in findings where !output.quiet || !finding.isGood {
                let mark = finding.isMade ? (finding.isGood ? "ok  " : "MEND") : "--  "
                Console.print("\(mark) \(finding.check): \(finding.text)")
                if !finding.isGood, !finding.advice.isEmpty { Console.print("     \(finding.advice)") }
            }
        }
        if findings.contains(where: { !$0.isGood }) { throw SilentExit(status: .configuration) }
    }
}
