import Federation
import SeededNumbers
import Testing
import Wire

/// The JSON payloads of bundles from a member who means harm: signed, and still not to be believed.
@Suite struct MessageFuzzTests {
    private static let words = [
        "9223372036854775807", "-9223372036854775808", "1e308", "1e-308", "-0", "0.0", "null", "true", "[]", "{}",
        "\"\"",
        "\"\\u0000\"", "\"\\u202e\"", "10000000", "1099511627776", ",", ":", "1000", "[[[[[[", "\"a\":",
    ]

    private func fuzz<M: Message>(_ message: M, seed: UInt64, rounds: Int) {
        let good = message.encoded
        var mutator = Mutator(seed: seed, words: Self.words)
        for _ in Effort.rounds(rounds) {
            do throws(FederationError) {
                let read = try M(decoding: mutator.damage(good))
                #expect((try? M(decoding: read.encoded)) == read)
            } catch {
                #expect(!error.description.contains("\n"))
            }
        }
    }

    private static func scores() -> Scores {
        Scores(
            support: 40, correct: 30, loss: 0.5,
            classes: [
                .init(name: "glioma", support: 20, correct: 15, predicted: 20, auroc: 0.8),
                .init(name: "notumor", support: 20, correct: 15, predicted: 20, auroc: nil),
            ])
    }

    @Test func messages() throws {
        let identifier = try #require(RandomID(hex: String(repeating: "0a", count: 16)))
        let digest = try #require(Digest(hex: String(repeating: "0b", count: 32)))
        let name = try #require(PartyName("hospital-a"))
        let plan = try PlanDefaults.plan(
            layers: [["rounds": 5, "early_stop": ["patience": 2], "quorum": 0.5]], architecture: "smallcnn",
            classes: ["glioma", "notumor"], imageSize: 64, context: "plan.yaml")
        fuzz(plan, seed: 41, rounds: 1500)
        fuzz(
            UpdateMetrics(
                round: 1, steps: 4, examples: 80, pictures: 40, epochsDone: 2, epochsPlanned: 2, partial: false,
                lossPerEpoch: [0.9, 0.5], instructionSet: "scalar", global: Self.scores(), trained: Self.scores()),
            seed: 42, rounds: 1500)
        fuzz(
            TrainingRequest(
                wishes: try PlanWishes(["rounds": 5, "strategy": "fedprox"]), pictures: ["glioma": 3, "notumor": 4],
                message: "please"), seed: 43, rounds: 1500)
        fuzz(
            Invitation(
                federation: identifier, server: name, key: "ssh-ed25519 AAAA", ageRecipient: "age1x",
                architecture: "smallcnn", classes: ["glioma", "notumor"], imageSize: 64), seed: 44, rounds: 1000)
        fuzz(
            Decision(
                subject: .request, about: digest, verdict: .approved, reason: "yes", session: identifier, plan: digest),
            seed: 45, rounds: 1000)
        fuzz(
            TrustStatement(
                subject: name,
                keys: [.init(key: "ssh-ed25519 AAAA", validAfter: Timestamp(seconds: 1), validBefore: nil)],
                revoked: ["ssh-ed25519 BBBB"], ageRecipient: "age1x", reason: "lost"), seed: 47, rounds: 1000)
        fuzz(
            RoundReport(
                phase: .running, round: 2, closed: 1, model: digest, base: digest, strategy: .fedAvg,
                participants: [ParticipantLine(client: name, fate: .missing)]), seed: 46, rounds: 1000)
    }

    /// Counts at the ends of what the format allows are judged, without overflow.
    @Test func extremeCountsAreJudged() throws {
        let plan = try PlanDefaults.plan(
            layers: [["local_epochs": 1000, "batch_size": 1024]], architecture: "smallcnn", classes: ["a", "b"],
            imageSize: 64, context: "plan.yaml")
        for count in [1, 1 << 20, 1 << 40] {
            for pictures in [0, 1, 10_000_000] {
                let metrics = UpdateMetrics(
                    round: 1, steps: count, examples: count, pictures: pictures, epochsDone: 1000, epochsPlanned: 1000,
                    partial: false, lossPerEpoch: [], instructionSet: "scalar", global: nil, trained: nil)
                for promised in [0, 1, 10_000_000_000] {
                    let weight = try? UpdateValidation.weight(of: metrics, round: 1, plan: plan, pictures: promised)
                    if let weight { #expect(weight >= 1 && weight <= promised * 1000) }
                }
            }
        }
    }
}
