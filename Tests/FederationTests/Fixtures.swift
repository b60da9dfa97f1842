import Federation
import SeededNumbers
import Tensors
import Testing
import Wire

func party(_ name: String) throws -> PartyName { try #require(PartyName(name)) }

/// A digest that depends on the text and stands for a bundle or a model of that name.
func digest(_ text: String) throws -> Digest {
    var generator = SplitMix64(seed: text.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    return try #require(Digest(bytes: (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }))
}

func identifier(_ seed: UInt64) -> RandomID {
    var generator = SplitMix64(seed: seed)
    return RandomID(using: &generator)
}

func day(_ number: Int64) -> Timestamp { Timestamp(seconds: 1_800_000_000).adding(days: number) }

func plan(_ changes: JSONValue = [:]) throws -> Plan {
    try PlanDefaults.plan(
        layers: [changes], architecture: "smallcnn", classes: ["glioma", "notumor"], imageSize: 64, context: "plan.yaml"
    )
}

func scores(correct: Int, of support: Int = 40) -> Scores {
    let half = support / 2
    let first = min(correct, half)
    let classes = [
        Scores.ClassScore(
            name: "glioma", support: half, correct: first, predicted: first + (support - half) - (correct - first),
            auroc: 0.5),
        Scores.ClassScore(
            name: "notumor", support: support - half, correct: correct - first,
            predicted: correct - first + half - first, auroc: nil),
    ]
    return Scores(support: support, correct: correct, loss: 0.5, classes: classes)
}

func metrics(round: Int, examples: Int = 80, global: Scores? = nil, trained: Scores? = nil) -> UpdateMetrics {
    UpdateMetrics(
        round: round, steps: 4, examples: examples, pictures: 40, epochsDone: 2, epochsPlanned: 2, partial: false,
        lossPerEpoch: [0.9, 0.5], instructionSet: "scalar", global: global, trained: trained)
}

func update(
    _ client: String, round: Int, sequence: Int64 = 1, global: Scores? = nil, trained: Scores? = nil,
    signer: String? = nil
) throws -> ReceivedUpdate {
    ReceivedUpdate(
        client: try party(client), bundle: try digest("\(client) \(round) \(sequence)"), round: round,
        sequence: sequence, weights: try digest("weights \(client) \(round) \(sequence)"), weight: 80,
        metrics: metrics(round: round, global: global, trained: trained), signer: signer)
}

/// A session with the clients a, b, c, ... in its first round.
func running(
    _ clients: [String] = ["a", "b"], _ changes: JSONValue = ["rounds": 2], base: Digest? = nil
) throws -> Session {
    var session = try Session(id: identifier(1), name: "spring", created: day(0), minimumClients: min(2, clients.count))
    for client in clients {
        _ = try session.apply(
            .join(client: party(client), request: digest("request \(client)"), pictures: 50), now: day(0))
    }
    _ = try session.apply(.start(beginning(changes, base: base)), now: day(0))
    return session
}

func beginning(_ changes: JSONValue = ["rounds": 2], base: Digest? = nil) throws -> SessionStart {
    SessionStart(
        plan: try plan(changes), planDigest: try digest("plan"), version: 0, model: try digest("model 0"), base: base)
}

/// A model of two tensors and a statistic, filled by a rule.
func model(_ value: (Int) -> Float) -> TensorDictionary {
    var tensors = TensorDictionary()
    let shapes: [(String, Int, String, TensorRole)] = [
        ("conv1.weight", 3_000, "stem", .weight), ("bn1.running_var", 5, "stem", .bnStatistic),
        ("fc.bias", 4, "head", .bias),
    ]
    for (name, count, part, role) in shapes {
        let tensor = Tensor(shape: [count], values: (0..<count).map(value))
        tensors[name] = TensorDictionary.Entry(tensor: tensor, part: part, role: role)
    }
    return tensors
}
