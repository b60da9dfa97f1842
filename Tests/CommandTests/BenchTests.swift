import Testing
import Wire

/// Rules: 1. every figure comes from runs that were made, and a peer's from the peer; 2. a peer that cannot do something is
/// left out and named; 3. a peer that fails or is not there is one clear line.
@Suite struct BenchTests {
    private static let usual = [
        "bench", "--only", "networks,transfer", "--arch", "smallcnn", "--batch", "2", "--size", "32", "--repeats", "3",
        "--json",
    ]

    /// Answers like a peer that takes two seconds for everything but a forward pass, which it cannot do.
    private static let peer = #"""
        while read -r line; do
          case "$line" in
            *prepare*forward*) echo '{"skip": "no forward pass here"}' ;;
            *prepare*) echo '{"ok": true}' ;;
            *run*) echo '{"seconds": 2.0}' ;;
          esac
        done
        """#

    @Test func oursAndAPeersFiguresStandSideBySide() throws {
        let world = try World.empty()
        try world.write(Self.peer, to: "peer.sh")
        let outcome = try world.run(Self.usual + ["--peer", "slow=sh peer.sh"])
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.errors.contains("slow: no forward pass here"))
        let report = try StrictJSON.parse(Array(outcome.output.utf8), maximumBytes: 1 << 20)
        let results = report["results"].items
        #expect(
            results.map { $0["name"].text } == [
                "smallcnn training step", "smallcnn training step, layers computed twice",
                "smallcnn training step, constant statistics, at most 1.2 GB", "smallcnn forward",
                "smallcnn step from layer4, features kept",
                "smallcnn step from head, features kept",
            ])
        for result in results {
            let ours = result["consilium"]
            let seconds = ours["seconds"].items.compactMap(\.seconds)
            #expect(seconds.count == 3 && seconds.allSatisfy { $0 > 0 && $0 < 2 })
            let median = try #require(ours["median_seconds"].seconds)
            #expect(median == seconds.sorted()[1])
            let peer = result["peers"]["slow"]
            // Skipped by the peer, or nothing that a peer has.
            if ["forward", "twice", "1.2 GB"].contains(where: { result["name"].text?.hasSuffix($0) == true }) {
                #expect(peer == .null)
            } else {
                #expect(peer["median_seconds"].seconds == 2)
                let ratio = try #require(peer["times_as_long"].seconds)
                let ratios = seconds.map { 2 / $0 }.sorted()
                #expect(ratio == ratios[1])
                #expect(try #require(result["planned_bytes"].seconds) > 0)
            }
        }
    }

    /// A whole job, from picture files to a model: timed once, scored, and a peer's beside it.
    @Test func aJobIsScored() throws {
        let world = try World.empty()
        try world.succeed("data", "synthesize", "train", "--per-class", "8", "--size", "32", "--seed", "1")
        try world.succeed("data", "synthesize", "test", "--per-class", "6", "--size", "32", "--seed", "2")
        try world.succeed(
            "model", "init", "--arch", "smallcnn", "--size", "32", "--classes", "glioma,meningioma,notumor,pituitary",
            "--output", "start.safetensors")
        try world.write(
            Self.peer.replacing("2.0}", with: "2.0, \"accuracy\": 0.25}").replacing("*forward*", with: "*never*"),
            to: "peer.sh")
        let outcome = try world.run([
            "bench", "--only", "job", "--job", "train", "--test", "test", "--model", "start.safetensors", "--epochs",
            "3", "--views", "1,3", "--repeats", "1", "--json", "--peer", "slow=sh peer.sh",
        ])
        #expect(outcome.status == 0, "\(outcome)")
        let results = try StrictJSON.parse(Array(outcome.output.utf8), maximumBytes: 1 << 20)["results"].items
        #expect(
            results.map { $0["name"].text } == [
                "3 epochs of the head, 1 view a picture", "3 epochs of the head, 3 views a picture",
            ])
        for result in results {
            #expect(result["work"].seconds == 96)
            #expect(result["consilium"]["seconds"].items.count == 1)
            let accuracy = try #require(result["consilium"]["accuracy"].seconds)
            #expect((0...1).contains(accuracy) && accuracy * 24 == (accuracy * 24).rounded())
            #expect(result["peers"]["slow"]["accuracy"].seconds == 0.25)
        }
    }

    @Test(arguments: [
        (["--peer", "gone=exit 3"], "the peer 'gone' ended"), (["--only", "network"], "there are: kernels"),
        (["--name", "nothing"], "no benchmark is called so"), (["--peer", "nameless"], "NAME=COMMAND"),
        (["--peer", "wordy=cat"], "wordy"), (["--arch", "resnet51"], "there are:"),
        (["--job", "train"], "--job needs --test"), (["--test", "train"], "belong to --job"),
        (["--job", "a", "--test", "b", "--model", "c", "--views", "0"], "--views: '0'"),
    ])
    func oneClearLine(arguments: [String], words: String) throws {
        let outcome = try World.empty().run(Self.usual + arguments)
        #expect(outcome.status != 0 && outcome.errors.contains(words), "\(outcome)")
    }
}

extension JSONValue {
    fileprivate var seconds: Double? {
        switch self {
        case .number(let number): number
        case .integer(let number): Double(number)
        default: nil
        }
    }
}
