import FaultRecords
import Foundation
import FuzzTargets
import Testing

/// The committed inputs, and what a search has found, tried in each run. `Scripts/fuzz.sh` searches on.
@Suite struct CorpusTests {
    private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "Corpus")

    @Test(arguments: FuzzTarget.all.map(\.name))
    func everyInputKeepsWhatIsPromised(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let files = try FileManager.default.contentsOfDirectory(
            at: Self.corpus.appendingPathComponent(name), includingPropertiesForKeys: nil)
        #expect(!files.isEmpty)
        FaultRecords.record(points: files.count)
        let inputs = try files.map { ($0.lastPathComponent, [UInt8](try Data(contentsOf: $0))) }
        for (file, bytes) in inputs {
            #expect(bytes.count <= target.longest, "\(file)")
            #expect(throws: Never.self, "\(name)/\(file)") { try target.check(bytes) }
        }
    }

    /// What a search begins with is good: else it would search outside the door.
    @Test(arguments: FuzzTarget.all.map(\.name))
    func everySeedIsWithinItsLimit(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let seeds = try target.seeds()
        #expect(!seeds.isEmpty)
        for seed in seeds {
            #expect(seed.count <= target.longest)
            try target.check(seed)
        }
    }
}
