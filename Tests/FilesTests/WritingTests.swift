import FaultRecords
import Files
import SystemPackage
import Testing

@Suite("Crash-safe writing")
struct WritingTests {
    private let local = LocalFileSystem()
    private let old = Array("old".utf8)
    private let new = [UInt8](repeating: 7, count: 5000)

    private func names(_ folder: FilePath) throws -> [String] { try local.list(folder).map(\.name) }

    @Test("writes, replaces and reads back, also through halved writes and reads")
    func replaces() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending("file")
            try local.writeFile(path, old)
            #expect(try local.readFile(path, limit: 3) == old)
            let halving = FailingFileSystem(halvesWrites: true)
            try halving.writeFile(path, new)
            #expect(try halving.readFile(path, limit: 5000) == new)
            try local.writeFile(path, [])
            #expect(try local.readFile(path, limit: 0) == [])
            #expect(try names(folder) == ["file"])
        }
    }

    @Test("goes through every step in order")
    func order() throws {
        try withTemporaryFolder { folder in
            let files = FailingFileSystem()
            try files.writeFile(folder.appending("file"), old)
            #expect(files.log == ["create", "write", "flush", "close", "open", "fstat", "rename", "flush folder"])
        }
    }

    /// The way of writing, by name, and what it does. Each has to leave the old content or the new.
    static let ways: [(String, @Sendable (any FileSystem, FilePath, FilePath) throws -> Void)] = [
        ("writeFile", { files, _, path in try files.writeFile(path, [UInt8](repeating: 7, count: 5000)) }),
        (
            "streaming",
            { files, _, path in
                try files.writeFile(path) { file in
                    for _ in 0..<5 { try file.write([UInt8](repeating: 7, count: 1000)) }
                }
            }
        ),
        ("copyFile", { files, source, path in try files.copyFile(from: source, to: path) }),
        ("move", { files, source, path in try files.move(from: source, to: path) }),
    ]

    @Test("leaves the old content or the new, whichever operation fails", arguments: ways.indices)
    func everyOperation(way: Int) throws {
        var number = 0
        while true {
            let files = FailingFileSystem(failing: number, code: .noSpace)
            let hasFailed = try withTemporaryFolder { folder in
                let path = folder.appending("file")
                let source = folder.appending("source")
                try local.writeFile(path, old)
                try local.writeFile(source, new)
                var succeeded = false
                do {
                    try WritingTests.ways[way].1(files, source, path)
                    succeeded = true
                } catch {
                    let error = try #require(error as? FileError)
                    #expect(error.code == .noSpace)
                    // A random name would make one trouble another one at every try.
                    #expect([path, source, folder].contains(error.path), "\(error)")
                }
                let content = try local.readFile(path, limit: 5000)
                #expect(content == old || content == new)
                #expect(content == new || !succeeded)
                // Nothing of a failed attempt stays; a rerun gets there.
                #expect(try names(folder).allSatisfy { $0 == "file" || $0 == "source" })
                if content == old {
                    try WritingTests.ways[way].1(local, source, path)
                    #expect(try local.readFile(path, limit: 5000) == new)
                }
                return files.hasFailed
            }
            if !hasFailed { break }
            number += 1
        }
        #expect(number >= 2)
        FaultRecords.record(points: number)
    }

    @Test("leaves nothing behind when the content cannot be produced")
    func producerFails() throws {
        struct Trouble: Error {}
        try withTemporaryFolder { folder in
            #expect(throws: Trouble.self) {
                try local.writeFile(folder.appending("file")) { file in
                    try file.write(old)
                    throw Trouble()
                }
            }
            let left = try names(folder)
            #expect(left.isEmpty)
        }
    }

    @Test("publishing never changes a published file, and is done again without harm")
    func publishes() throws {
        try withTemporaryFolder { folder in
            let source = folder.appending("source")
            let share = folder.appending("share")
            let target = share.appending("bundle.tar")
            try local.makeDirectories(share)
            try local.writeFile(source, new)
            var number = 0
            while true {
                let files = FailingFileSystem(failing: number)
                do throws(FileError) {
                    try files.publishFile(from: source, to: target)
                    break
                } catch {
                    number += 1
                    #expect(!error.path.string.hasSuffix(".part"), "\(error)")
                    // Under its final name there is all of it or nothing.
                    if try local.exists(target) { #expect(try local.readFile(target, limit: 5000) == new) }
                    try local.remove(target)
                }
            }
            #expect(number > 10)
            #expect(try names(share) == ["bundle.tar"])
            try local.publishFile(from: source, to: target)
            try local.writeFile(source, old)
            let error = #expect(throws: FileError.self) { try local.publishFile(from: source, to: target) }
            #expect(error?.code == .fileExists)
            #expect(try local.readFile(target, limit: 5000) == new)
        }
    }

    @Test("temporary names end in .part, are recognised and cleared, and foreign ones are left")
    func leftovers() throws {
        try withTemporaryFolder { folder in
            var temporary = ""
            try local.writeFile(folder.appending("Name.tar")) { file in
                temporary = try names(folder)[0]
                try file.write(old)
            }
            #expect(temporary.hasPrefix(".Name.tar.") && TemporaryName.isUnfinished(temporary))
            try local.writeFile(folder.appending(temporary), old)
            try local.writeFile(folder.appending("theirs.part"), old)
            try local.writeFile(folder.appending(".theirs.part"), old)
            #expect(try local.removeLeftovers(in: folder) == 1)
            #expect(try names(folder) == [".theirs.part", "Name.tar", "theirs.part"])
        }
    }

    @Test("appends, and creates what it appends to")
    func appends() throws {
        try withTemporaryFolder { folder in
            let path = folder.appending("log")
            try local.appendFile(path, old)
            try local.appendFile(path, old)
            #expect(try local.readFile(path, limit: 100) == old + old)
        }
    }
}
