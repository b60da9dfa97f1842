import Files
import SystemPackage
import Testing

@Suite struct VolumeTests {
    @Test func theSystemsOwnFoldersAreKnown() throws {
        let files = LocalFileSystem()
        let process = try #require(try files.volume(of: "/proc/self"))
        #expect(process.type == "proc" && process.mountPoint == "/proc" && process.largestFile == nil)
        let temporary = try #require(try files.volume(of: "/tmp"))
        #expect(temporary.available > 0 && !temporary.isReadOnly && temporary.type != "proc")
        #expect(throws: FileError.self) { try files.volume(of: "/nowhere/at/all") }
    }

    @Test func onlyFATStopsAtFourGigabytes() {
        func volume(_ type: String) -> Volume {
            Volume(type: type, mountPoint: "/m", isReadOnly: false, available: 0)
        }
        #expect(volume("vfat").largestFile == 4_294_967_295)
        for type in ["exfat", "ext4", "fuse.sshfs"] { #expect(volume(type).largestFile == nil) }
    }
}
