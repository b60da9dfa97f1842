import Configuration
import Federation
import Testing
import Wire

@Suite struct PlanTests {
    @Test func defaultsAreThoseOfTheDesign() throws {
        let plan = try plan()
        #expect(plan.rounds == 10 && plan.localEpochs == 2 && plan.batchSize == 32 && plan.learningRate == 0.0001)
        #expect(plan.optimizer == .adam && plan.strategy == .fedProx(mu: 0.01) && plan.quorum == .all)
        #expect(plan.deadline == 14 * 86_400 && plan.late == .drop && plan.earlyStop == nil)
        #expect(plan.augmentation == .standard && plan.imageSize == 64 && plan.trainFrom == .all)
    }

    @Test func laterLayersWin() throws {
        let plan = try PlanDefaults.plan(
            layers: [["rounds": 5, "seed": 3], ["rounds": 7]], architecture: "smallcnn", classes: ["a", "b"],
            imageSize: 64,
            context: "plan.yaml")
        #expect(plan.rounds == 7 && plan.seed == 3)
    }

    @Test func aPlanComesBackEqualAndEncodesAlike() throws {
        let plan = try plan([
            "quorum": 0.5, "deadline": "36h", "early_stop": ["patience": 3], "strategy": "fedavg",
            "augmentation": false,
            "train_from": "layer4", "batch_norm": "frozen", "optimizer": "sgd", "class_weights": "balanced",
            "schedule": ["name": "step", "every": 4, "factor": 0.5, "warmup": 1.5], "clip_norm": 1,
        ])
        let back = try Plan(decoding: plan.encoded)
        #expect(back == plan)
        #expect(back.encoded == plan.encoded)
        #expect(back.schedule == LearningRateRule(.step(every: 4, factor: 0.5), warmup: 1.5) && back.clipNorm == 1)
        #expect(back.earlyStop == EarlyStop(patience: 3, metric: .balancedAccuracy))
        guard case .object(let fields) = plan.json else { return }
        #expect(fields.keys.sorted() == Plan.keys)
    }

    /// Changes that no plan may have, and a word of the answer.
    static let refused: [(JSONValue, String)] = [
        (["round": 3], "did you mean 'rounds'"),
        (["rounds": 0], "rounds"),
        (["rounds": "3"], "rounds"),
        (["rounds": 2.0], "rounds"),
        (["learning_rate": 100.0], "learning_rate"),
        (["learning_rate": 0], "learning_rate"),
        (["optimizer": "Adam"], "did you mean 'adam'"),
        (["strategy": "fedprocks"], "did you mean 'fedprox'"),
        (["strategy": ["name": "fedprox", "mu": -1.0]], "mu"),
        (["strategy": ["name": "fedavg", "mu": 0.1]], "fedprox"),
        (["strategy": ["name": "fedprox", "beta": 1.0]], "beta"),
        (["quorum": 0], "quorum"),
        (["quorum": 1.5], "quorum"),
        (["quorum": "most"], "quorum"),
        (["deadline": "2 weeks"], "deadline"),
        (["deadline": "1s"], "deadline"),
        (["deadline": "99999999999999999999d"], "deadline"),
        (["late": "merge"], "not available yet"),
        (["early_stop": ["patience": 2, "metric": "acuracy"]], "did you mean 'accuracy'"),
        (["train_from": "layer5"], "did you mean"),
        (["seed": -1], "seed"),
        (["schedule": "cosin"], "did you mean 'cosine'"),
        (["schedule": ["name": "step"]], "every"),
        (["schedule": ["name": "cosine", "every": 2]], "every"),
        (["schedule": ["name": "cosine", "floor": 1.5]], "floor"),
        (["schedule": ["name": "constant", "warmup": -1]], "warmup"),
        (["clip_norm": 0], "clip_norm"),
        (["dropout": 1.0], "dropout"),
        (["logit_adjustment": -0.5], "logit_adjustment"),
        (["logit_adjustment": 1, "class_weights": "balanced"], "use one of them"),
        (["architecture": "resnet18"], "'architecture' is the model's"),
        (["classes": ["a", "b"]], "'classes' is the model's"),
        (["image_size": 999], "image size 999 does not suit smallcnn: use 32 to 512"),
        ([], "object"),
    ]

    @Test(arguments: refused) func badPlansAreRefusedByName(changes: JSONValue, word: String) {
        #expect {
            try plan(changes)
        } throws: { error in
            (error as? FederationError)?.code == .badPlan && "\(error)".contains(word)
                && "\(error)".hasPrefix("plan.yaml:")
        }
    }

    /// A server's configuration and a plan know the same keys: none of a plan's that only `plan.yaml` could set.
    @Test func everyKeyOfAPlanCanBeConfigured() {
        #expect(
            Set(ServerConfiguration.planKeys) == Set(Plan.keys).subtracting(Plan.modelKeys))
    }

    @Test func onlyNamedWishesAreCompared() throws {
        let wishes = try PlanWishes(["local_epochs": 2, "strategy": "fedprox", "train_from": "layer4"])
        #expect(try plan(["train_from": "layer4", "batch_size": 8]).differences(from: wishes).isEmpty)
        let differences = try plan(["local_epochs": 5, "rounds": 9]).differences(from: wishes)
        #expect(
            differences.map(\.description) == [
                "local_epochs: asked for 2, the plan says 5", "train_from: asked for layer4, the plan says all",
            ])
        #expect(try plan(["rounds": 3]).differences(from: .none).isEmpty)
    }

    @Test func wishesAreALayerOfAPlan() throws {
        let wishes = try PlanWishes(["rounds": 5, "augmentation": true])
        #expect(try plan(wishes.layer).rounds == 5)
        let other = try PlanWishes(["architecture": "resnet18"])
        #expect(try plan(other.layer).differences(from: other).map(\.key) == ["architecture"])
        #expect(throws: FederationError.self) { try PlanWishes(["quorum": 1]) }
        #expect(throws: FederationError.self) { try PlanWishes(["rounds": 100_000]) }
    }

    @Test func quorumIsCountedFromTheParticipants() {
        #expect(Quorum.all.required(of: 3) == 3)
        #expect(Quorum.all.required(of: 0) == 1)
        #expect(Quorum.count(2).required(of: 5) == 2)
        #expect(Quorum.fraction(0.5).required(of: 5) == 3)
        #expect(Quorum.fraction(0.01).required(of: 5) == 1)
    }

    @Test func trainFromChoosesPartsByTheirPlace() {
        let parts = ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
        #expect(parts.filter(TrainFrom.layer4.trains(part:)) == ["layer4", "head"])
        #expect(parts.filter(TrainFrom.head.trains(part:)) == ["head"])
        #expect(parts.filter(TrainFrom.all.trains(part:)) == parts)
        #expect(!TrainFrom.layer1.trains(part: "unheard-of"))
    }

    @Test(arguments: [(86_400, "1d"), (5_400, "90m"), (61, "61s"), (7_200, "2h")] as [(Int64, String)])
    func durationsAreWrittenInTheLargestUnit(seconds: Int64, text: String) throws {
        #expect(DurationText.text(seconds) == text)
        #expect(try DurationText.seconds(text, key: "deadline") == seconds)
    }
}
