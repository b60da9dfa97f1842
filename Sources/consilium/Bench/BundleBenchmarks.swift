import Bundles
import Federation
import Files
import NeuralNetworks
import Server
import SystemPackage
import Tensors
import Wire

/// What a server does with updates: packs and signs, verifies, averages; with few clients and with many.
struct BundleBenchmarks {
    private static let sender = PartyName("hospital")
    private static let payloadName = "update.safetensors"

    let architecture: Architecture
    let size: Int
    let clients: [Int]
    let files = LocalFileSystem()

    func benchmarks() throws -> [Benchmark] {
        let specification = try ModelSpecification(
            architecture: architecture, classes: ["a", "b", "c", "d"], imageSize: size)
        let bytes = 4 * Double(try specification.graph().tensors.reduce(0) { $0 + $1.count })
        let megabytes = "\(Int(bytes / 1e6)) MB"
        let one = [
            Benchmark(
                group: .bundles, name: "pack and sign one update, \(megabytes)", work: bytes, unit: .bytes,
                prepare: {
                    let folder = try BenchmarkFolder()
                    let update = try write(specification, in: folder)
                    let key = SigningKey.generate()
                    return { _ = try pack(update, key, number: 0, in: folder) }
                }),
            Benchmark(
                group: .bundles, name: "verify one update, \(megabytes)", work: bytes, unit: .bytes,
                prepare: {
                    let folder = try BenchmarkFolder()
                    let bundle = try pack(try write(specification, in: folder), .generate(), number: 0, in: folder)
                    return {
                        try withExtendedLifetime(folder) { _ = try BundleReader.open(bundle, files: files).verified() }
                    }
                }),
        ]
        return one
            + clients.map { count in
                Benchmark(
                    group: .bundles, name: "verify and average \(count) updates", work: bytes * Double(count),
                    unit: .bytes,
                    prepare: {
                        let folder = try BenchmarkFolder()
                        let update = try write(specification, in: folder)
                        let key = SigningKey.generate()
                        let bundles = try (0..<count).map { try pack(update, key, number: $0, in: folder) }
                        return { try average(bundles, base: update, in: folder) }
                    })
            }
    }

    private func write(_ specification: ModelSpecification, in folder: BenchmarkFolder) throws -> FilePath {
        let path = folder.path.appending("model.safetensors")
        try files.writeFile(path, try Safetensors.encode(Model(initializing: specification, seed: 1).tensors))
        return path
    }

    private func pack(
        _ update: FilePath, _ key: SigningKey, number: Int, in folder: BenchmarkFolder
    ) throws -> FilePath {
        guard let sender = Self.sender else { throw CommandFailure(.internalError, "the sender has no name") }
        let path = folder.path.appending("\(number).tar")
        var random = SystemRandomNumberGenerator()
        let created = try Environment.now()
        let manifest = Manifest(
            kind: .update, federation: RandomID(using: &random), session: RandomID(using: &random), round: 1, seq: 1,
            sender: sender,
            recipients: [sender], created: created, expires: Timestamp(seconds: created.seconds + 86_400))
        _ = try BundleWriter.write(
            manifest, payload: [.file(name: Self.payloadName, update)], key: key, to: path, files: files)
        return path
    }

    /// As a server closes a round: every bundle is verified, then averaged out of its archive.
    private func average(_ bundles: [FilePath], base: FilePath, in folder: BenchmarkFolder) throws {
        let inputs = try bundles.enumerated().map { index, path in
            let bundle = try BundleReader.open(path, files: files).verified()
            let range = try bundle.payloadRange(Self.payloadName)
            guard let client = PartyName("hospital-\(index)") else {
                throw CommandFailure(.internalError, "hospital \(index) has no name")
            }
            return AggregationInput(
                client: client, weight: 100 + index,
                source: try MappedSafetensors(path: path.string, offset: range.offset, length: range.size))
        }
        try ModelFiles.write(to: folder.path.appending("global.safetensors"), files: files) { sink in
            try Aggregation.run(
                base: try ModelFiles.open(base), inputs: inputs, strategy: Strategy.fedAvg.aggregation, to: sink)
        }
    }
}

/// A folder that goes when nobody needs it any more.
private final class BenchmarkFolder {
    let path: FilePath

    init() throws {
        path = try TemporaryFolder.make(hint: "set TMPDIR to a folder of yours with some gigabytes of room")
    }

    deinit { try? LocalFileSystem().removeTree(path) }
}
