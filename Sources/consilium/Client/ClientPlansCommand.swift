import ArgumentParser
import Client
import Federation
import Mailbox
import Reports
import Wire

struct ClientPlansCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plans", abstract: "Plans that wait for this hospital, and the decision about them.",
        discussion: """
            EXAMPLES:
              consilium client plans --home /srv/hospital-a
              consilium client plans --approve 1 --home /srv/hospital-a # moves its file
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Option(help: "Train by the plan PLAN-N.") var approve: PlanNumber?
    @Option(help: "Refuse the plan PLAN-N, and withdraw from its session.") var refuse: PlanNumber?

    func validate() throws {
        if approve != nil, refuse != nil { throw ValidationError("either --approve or --refuse") }
    }

    func run() throws {
        if let plan = approve ?? refuse {
            return try ClientHold.change(home, output) {
                try $0.decidePlan(number: plan.number, approve: approve != nil, actor: HomeOption.actor)
            }
        }
        let state = try ClientState.load(from: try home.open(.client))
        if output.json {
            return Console.print(json: [
                "schema_version": 1,
                "plans": .array(
                    state.sessions.map { session in
                        [
                            "plan": .integer(Int64(state.number(of: session))), "session": .string(session.id.hex),
                            "consent": .string(session.consent.rawValue), "content": session.plan.json,
                            "differences": .array(state.differences(of: session).map { .string($0) }),
                        ]
                    }),
            ])
        }
        guard !state.sessions.isEmpty else { return Console.print("no plan came yet") }
        for session in state.sessions {
            Console.print("PLAN-\(state.number(of: session))  session \(session.id.short)  \(session.consent.rawValue)")
            for line in state.differences(of: session) { Console.print("  \(line)") }
        }
    }
}

/// A plan as the list and the desk name it, `PLAN-1`, or its number alone.
struct PlanNumber: ExpressibleByArgument {
    let number: Int

    init?(argument: String) {
        let isNamed = argument.uppercased().hasPrefix("PLAN-")
        guard let number = Int(isNamed ? String(argument.dropFirst(5)) : argument), number > 0 else { return nil }
        self.number = number
    }
}
