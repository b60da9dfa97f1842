import Files
import SystemPackage
import Testing

/// The simulated disk itself: what it must forget and what it must keep.
@Suite struct SimulatedDiskTests {
    private func withFolder(_ body: (FilePath) throws -> Void) throws {
        let folder = Story.scratch()
        try LocalFileSystem().makeDirectories(folder)
        defer { try? LocalFileSystem().removeTree(folder) }
        try body(folder)
    }

    private func lose(_ disk: SimulatedDisk, _ way: PowerLoss.Way = .nothing, seed: UInt64 = 1) throws {
        var choice = PowerLoss(way, seed: seed)
        try disk.losePower(&choice)
    }

    private func names(_ folder: FilePath) throws -> [String] { try LocalFileSystem().list(folder).map(\.name) }
    private func content(_ path: FilePath) throws -> [UInt8] { try LocalFileSystem().readFile(path, limit: 1 << 20) }

    @Test func aFileIsSafeWhenItAndItsFolderWereFlushed() throws {
        try withFolder { folder in
            let disk = SimulatedDisk(.none)
            for (name, flushesFile, flushesFolder) in [("both", true, true), ("file", true, false)] {
                let file = try disk.create(folder.appending(name), permissions: 0o600)
                try file.write([1, 2, 3])
                if flushesFile { try file.synchronize() }
                try file.close()
                if flushesFolder { try disk.synchronizeDirectory(folder) }
            }
            try lose(disk)
            #expect(try names(folder) == ["both"])
            #expect(try content(folder.appending("both")) == [1, 2, 3])
        }
    }

    @Test func whatWasNotFlushedIsLostTornOrReordered() throws {
        let bytes = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 % 251 + 1) }
        var kinds: Set<String> = []
        for seed in 1...60 as ClosedRange<UInt64> {
            try withFolder { folder in
                let disk = SimulatedDisk(.none)
                let file = try disk.create(folder.appending("f"), permissions: 0o600)
                try file.write(Array(bytes.prefix(100)))
                try file.synchronize()
                try disk.synchronizeDirectory(folder)
                try file.write(Array(bytes.dropFirst(100)))
                try file.close()
                try lose(disk, .anything, seed: seed)
                let left = try content(folder.appending("f"))
                #expect(left.starts(with: bytes.prefix(100)))
                if left == bytes {
                    kinds.insert("all")
                } else if left.count == 100 {
                    kinds.insert("flushed")
                } else if bytes.starts(with: left) {
                    kinds.insert("torn")
                } else {
                    kinds.insert("reordered")
                    #expect(left.count == bytes.count && left.contains(0))
                }
            }
        }
        #expect(kinds == ["all", "flushed", "torn", "reordered"])
    }

    @Test func aRenameIsDoneOrNotAndARemovalMayComeBack() throws {
        for (way, expected) in [(PowerLoss.Way.nothing, ["new", "old"]), (.everything, ["old"])] {
            try withFolder { folder in
                let (old, new) = (folder.appending("old"), folder.appending("new"))
                try LocalFileSystem().writeFile(old, [1])
                try LocalFileSystem().writeFile(new, [2])
                let disk = SimulatedDisk(.none)
                try disk.rename(new, to: old)
                try lose(disk, way)
                #expect(try names(folder) == expected)
                #expect(try content(old) == (way == .nothing ? [1] : [2]))
            }
            try withFolder { folder in
                try LocalFileSystem().writeFile(folder.appending("f"), [7])
                let disk = SimulatedDisk(.none)
                try disk.unlink(folder.appending("f"))
                try lose(disk, way)
                #expect(try names(folder) == (way == .nothing ? ["f"] : []))
            }
        }
    }

    @Test func whatLiesInAFolderThatIsNotSafeIsGone() throws {
        try withFolder { folder in
            let disk = SimulatedDisk(.none)
            let inner = folder.appending("inner")
            try disk.makeDirectory(inner, permissions: 0o700)
            try disk.writeFile(inner.appending("f"), [1])
            try lose(disk)
            #expect(try names(folder) == [])
            let second = SimulatedDisk(.none)
            try second.makeDirectories(inner)
            try second.writeFile(inner.appending("f"), [1])
            try lose(second)
            #expect(try content(inner.appending("f")) == [1])
        }
    }

    /// The one write of the project on this disk: after every operation, and whatever is kept, the old content or the new.
    @Test func theCrashSafeWriteLeavesOldOrNew() throws {
        let (old, new) = ([UInt8](repeating: 1, count: 9000), [UInt8](repeating: 2, count: 9000))
        var points = 0
        for way in PowerLoss.Way.allCases {
            for seed in 1...(way == .anything ? 20 : 1) as ClosedRange<UInt64> {
                for number in 0..<100 {
                    var isOver = false
                    try withFolder { folder in
                        let path = folder.appending("f")
                        try LocalFileSystem().writeFile(path, old)
                        let disk = SimulatedDisk(.stop(at: number))
                        var isDone = false
                        do throws(FileError) {
                            try disk.writeFile(path, new)
                            isDone = true
                        } catch {
                            #expect(error.code == .ioError)
                        }
                        try lose(disk, way, seed: seed)
                        let left = try content(path)
                        #expect(left == new || (!isDone && left == old), "operation \(number), \(way), \(seed)")
                        isOver = !disk.wasReached
                    }
                    points += 1
                    if isOver { break }
                }
            }
        }
        #expect(points > 100)
    }

    /// The same disk finds a write that leaves out a flush: it can fail.
    @Test func aWriteWithoutFlushIsFoundOut() throws {
        try withFolder { folder in
            let disk = SimulatedDisk(.none)
            let file = try disk.create(folder.appending("t"), permissions: 0o600)
            try file.write([1, 2, 3])
            try file.close()
            try disk.rename(folder.appending("t"), to: folder.appending("f"))
            try disk.synchronizeDirectory(folder)
            try lose(disk)
            #expect(try content(folder.appending("f")) == [])
        }
    }
}
