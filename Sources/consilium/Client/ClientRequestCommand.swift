import ArgumentParser
import Client
import Federation
import Mailbox
import Wire

struct ClientRequestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "request", abstract: "Ask the server for a training session.",
        discussion: """
            Only what you name is compared with the plan later: a plan that says otherwise waits on your desk plans/.

            EXAMPLES:
              consilium client request --rounds 5 --home /srv/hospital-a
              consilium client request --rounds 10 --local-epochs 2 --train-from layer4 \\
                  --message "tumour board, spring"
            """)

    @OptionGroup var home: HomeOption
    @OptionGroup var output: OutputOptions
    @Option(help: "Rounds.") var rounds: Int64?
    @Option(help: "Epochs on the own pictures in each round.") var localEpochs: Int64?
    @Option(help: "First part of the network that trains: head, layer4, layer3, layer2, layer1, all.") var trainFrom:
        String?
    @Option(help: "Pictures in a step.") var batchSize: Int64?
    @Option(help: "Learning rate.") var learningRate: Double?
    @Option(help: "Aggregation: fedavg or fedprox.") var strategy: String?
    @Option(help: "A line for the admin.") var message = ""

    func run() throws {
        var fields: [String: JSONValue] = [:]
        fields["rounds"] = rounds.map { .integer($0) }
        fields["local_epochs"] = localEpochs.map { .integer($0) }
        fields["train_from"] = trainFrom.map { .string($0) }
        fields["batch_size"] = batchSize.map { .integer($0) }
        fields["learning_rate"] = learningRate.map { .number($0) }
        fields["strategy"] = strategy.map { .string($0) }
        let wishes: PlanWishes
        do {
            wishes = try PlanWishes(.object(fields))
        } catch {
            throw CommandFailure(.usage, "\(error)")
        }
        let run = try ClientHold.open(home)
        try run.mailbox.requireSigning()
        let request = try run.request(wishes: wishes, message: message, actor: HomeOption.actor)
        try run.settle()
        if output.json {
            return Console.print(json: [
                "schema_version": 1, "id": .string(request.id.hex), "asked": request.request.json,
                "attention": .array(run.report.attention.map { .string($0) }),
            ])
        }
        for line in run.report.attention { Console.print(line) }
        guard !output.quiet else { return }
        Console.print(
            "request \(request.id.short) with \(counted(request.request.pictureCount, "picture")) lies in the outbox")
    }
}
