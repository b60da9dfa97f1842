import Configuration
import SeededNumbers
import Testing
import Wire

/// What an administrator types, or pastes from somewhere.
@Suite struct ConfigurationFuzzTests {
    private static let words = [
        "- ", "? ", ": ", "[", "]", "{", "}", ",", "&a ", "*a", "!!str ", "|\n", ">-\n", "---\n", "...\n",
        "%YAML 1.1\n",
        "\t", "\"\\x", "\"\\ud800\"", "'", "#", "<<: ", "\u{feff}", "\u{85}", "\u{2028}", "\r", "~", "1e999",
        "9223372036854775808", "    ", "name: b\n", "strategy: {name: fedprox, mu: 0.01}\n", "rounds: 7\n",
        "time_budget: 8h\n", "memory: 8GB\n",
    ]

    private func depth(_ value: JSONValue) -> Int {
        switch value {
        case .array(let elements): 1 + (elements.map(depth).max() ?? 0)
        case .object(let fields): 1 + (fields.values.map(depth).max() ?? 0)
        default: 0
        }
    }

    @Test func damagedFilesAreReadOrRefusedInOneLine() throws {
        let name = try #require(PartyName("hospital-a"))
        let files = [
            ServerConfiguration.template(name: name), ClientConfiguration.template(name: name, data: "/pictures"),
            "name: a\nrounds: 7\nstrategy: {name: fedprox, mu: 0.01}\naugmentation:\n  rotation: 15\n  zoom: 0.15\n",
            "a: [1, 2.5e-3, 'x y', \"z\\n\", {k: v}]\nb:\n- c\n- d: e\n  f: |\n    text\n",
        ]
        var mutator = Mutator(seed: 11, words: Self.words)
        for round in Effort.rounds(2500) {
            let bytes = mutator.damage(Array(files[round % files.count].utf8))
            do throws(ConfigurationError) {
                #expect(depth(try StrictYAML.parse(bytes, name: "x.yaml")) <= StrictYAML.maximumDepth + 1)
            } catch {
                #expect(!error.description.contains("\n") && error.description.hasPrefix("x.yaml"))
            }
            _ = try? ServerConfiguration(parsing: bytes)
            _ = try? ClientConfiguration(parsing: bytes)
        }
    }

    /// 64 KiB of one thing, the most that is read.
    @Test(
        arguments: [
            "[", "{", "- ", "? ", "{a: ", "[{a: ", "- - ? ", "a: ", "[]", "\"", "'", "#", "&a ", "*a ", "!!a ", "|",
            "\n",
            " ", "\t", "-", ":", ",", "a:\n ", "--- ", "? - ", "%",
        ])
    func manyOfOneThingEndSoon(piece: String) {
        let most = StrictYAML.maximumBytes / piece.utf8.count
        let clock = ContinuousClock()
        let took = clock.measure {
            _ = try? StrictYAML.parse(Array(String(repeating: piece, count: most).utf8), name: "x.yaml")
            _ = try? StrictYAML.parse(Array("a: \(String(repeating: piece, count: most - 8))".utf8), name: "x.yaml")
        }
        #expect(took < .seconds(2), "\(piece.debugDescription) took \(took)")
    }

    /// A line deeper than the one before: nesting without a bracket.
    @Test func stairsAreBounded() throws {
        let stairs = (0..<300).map { String(repeating: " ", count: $0) + "a:\n" }.joined()
        #expect(throws: ConfigurationError.self) { try StrictYAML.parse(Array(stairs.utf8), name: "x.yaml") }
    }
}
