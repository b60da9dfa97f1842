import Foundation
import FuzzTargets

/// libFuzzer's own loop (llvm.org/docs/LibFuzzer.html, "Using libFuzzer as a library").
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

private let usage = """
    usage: consilium-fuzz TARGET [CORPUS...] [libFuzzer's options]
           consilium-fuzz seeds FOLDER       writes good inputs for every target, FOLDER/TARGET/seed-N
    targets: \(FuzzTarget.all.map(\.name).joined(separator: " "))
    """

private func fail(_ text: String) -> Never {
    FileHandle.standardError.write(Data((text + "\n").utf8))
    exit(64)
}

private func writeSeeds(to folder: String) throws {
    for target in FuzzTarget.all {
        let corpus = URL(fileURLWithPath: folder).appendingPathComponent(target.name)
        try FileManager.default.createDirectory(at: corpus, withIntermediateDirectories: true)
        for (index, seed) in try target.seeds().enumerated() {
            try Data(seed).write(to: corpus.appendingPathComponent("seed-\(index + 1)"))
        }
    }
}

private let words = CommandLine.arguments
guard words.count > 1 else { fail(usage) }
if words[1] == "seeds", words.count == 3 {
    try writeSeeds(to: words[2])
    exit(0)
}
guard let chosen = FuzzTarget.named(words[1]) else { fail(usage) }
/// What the callback, which can capture nothing, tries.
private let target = chosen
setenv("SWIFT_BACKTRACE", "enable=no", 0)

private let given = [words[0], "-max_len=\(chosen.longest)"] + words.dropFirst(2)
nonisolated(unsafe) private var count = Int32(given.count)
nonisolated(unsafe) private var pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = {
    let list = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: given.count + 1)
    for (index, word) in given.enumerated() { list[index] = strdup(word) }
    list[given.count] = nil
    return list
}()

exit(
    runDriver(&count, &pointers) { bytes, size in
        do {
            try target.check(Array(UnsafeBufferPointer(start: bytes, count: size)))
        } catch {
            FileHandle.standardError.write(Data("violation: \(error)\n".utf8))
            abort()
        }
        return 0
    })
