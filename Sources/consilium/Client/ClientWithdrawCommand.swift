import ArgumentParser
import Client
import Wire

struct ClientWithdrawCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "withdraw", abstract: "Take back a request, or leave the session that it led to.",
        discussion: """
            EXAMPLES:
              consilium client withdraw --home /srv/hospital-a \\
                  --reason "scanner was recalibrated"
              consilium client withdraw 1f2e3d4c --home /srv/hospital-a
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Argument(help: "The beginning of the request's identifier (default: the newest one that is open).") var request:
        String?
    @Option(help: "Why, for the server's admin.") var reason = ""

    func run() throws {
        try ClientHold.change(home, output) { run in
            let open = run.state.openRequests
            // One that is named may be open no more: then that is what is said.
            let found =
                request.map { text in run.state.requests.filter { $0.id.hex.hasPrefix(text) } } ?? Array(open.suffix(1))
            guard found.count == 1, let own = found.first else {
                let known = open.map(\.id.short).joined(separator: ", ")
                throw CommandFailure(
                    .missingInput, "there is no such open request",
                    hint: known.isEmpty ? "none is open" : "open are \(known)")
            }
            try run.withdraw(request: own, reason: reason, actor: HomeOption.actor)
        }
    }
}
