package import Wire

/// `metrics.json`: what a client did in a round, and how the model scores on its own validation pictures.
package struct UpdateMetrics: Message {
    package static let fileName = "metrics.json"

    package var round: Int
    /// Optimiser steps taken.
    package var steps: Int
    /// Training examples processed, a picture counted once for each epoch that saw it: FedAvg's weight.
    package var examples: Int
    /// Training pictures that the client has.
    package var pictures: Int
    package var epochsDone: Int
    package var epochsPlanned: Int
    /// Sent before the epochs were done, because the deadline was near; steps and examples are the true ones.
    package var partial: Bool
    /// Mean training loss of each epoch done.
    package var lossPerEpoch: [Double]
    /// The kernels' path (`avx512`, `scalar`, ...): training is byte-stable for each of them.
    package var instructionSet: String
    /// Scores of the received global, before training; nil where withheld (too few validation pictures).
    package var global: Scores?
    /// Scores of the trained model.
    package var trained: Scores?

    package init(
        round: Int, steps: Int, examples: Int, pictures: Int, epochsDone: Int, epochsPlanned: Int, partial: Bool,
        lossPerEpoch: [Double], instructionSet: String, global: Scores?, trained: Scores?
    ) {
        self.round = round
        self.steps = steps
        self.examples = examples
        self.pictures = pictures
        self.epochsDone = epochsDone
        self.epochsPlanned = epochsPlanned
        self.partial = partial
        self.lossPerEpoch = lossPerEpoch
        self.instructionSet = instructionSet
        self.global = global?.shareable
        self.trained = trained?.shareable
    }

    package var json: JSONValue {
        JSONValue(fields: [
            "round": JSONValue(round), "steps": JSONValue(steps), "examples": JSONValue(examples),
            "pictures": JSONValue(pictures), "epochs_done": JSONValue(epochsDone),
            "epochs_planned": JSONValue(epochsPlanned), "partial": .bool(partial),
            "loss_per_epoch": .array(lossPerEpoch.map { .number($0) }), "instruction_set": .string(instructionSet),
            "global": global?.json, "trained": trained?.json,
        ])
    }

    package init(reading object: inout ObjectReader) throws {
        round = try object.count("round", in: FederationLimits.rounds)
        steps = try object.count("steps", in: 1...1 << 40)
        examples = try object.count("examples", in: 1...1 << 40)
        pictures = try object.count("pictures", in: FederationLimits.pictures)
        epochsDone = try object.count("epochs_done", in: 0...FederationLimits.localEpochs.upperBound)
        epochsPlanned = try object.count("epochs_planned", in: FederationLimits.localEpochs)
        partial = try object.bool("partial")
        lossPerEpoch = try object.array("loss_per_epoch").map { value in
            guard case .number(let loss) = value, (0...1e6).contains(loss) else {
                throw object.problem("loss_per_epoch", "must be numbers from 0.0 to 1000000.0")
            }
            return loss
        }
        guard lossPerEpoch.count == epochsDone else {
            throw object.problem("loss_per_epoch", "must have one entry for each epoch done")
        }
        guard partial == (epochsDone < epochsPlanned) else {
            throw object.problem("partial", "must be true exactly where fewer epochs are done than planned")
        }
        instructionSet = try object.text("instruction_set", maximumLength: 32)
        global = try object.optionalNested("global", Scores.init(reading:))
        trained = try object.optionalNested("trained", Scores.init(reading:))
    }
}
