import Foundation
import Glibc

/// A real exFAT file system in a file, mounted through FUSE over a loop device. Only root can make one.
package final class ExFATStick: Sendable {
    package let mount: String
    private let caretaker: Caretaker

    package static let shared = Result { try ExFATStick() }

    private static let megabytes = 16

    /// - Throws: ``Unavailable`` with one line where this machine cannot.
    package init() throws {
        for tool in ["mkfs.exfat", "mount.exfat-fuse", "losetup", "umount"] where Tool.path(tool) == nil {
            throw Unavailable("\(tool) is not installed")
        }
        guard getuid() == 0, access("/dev/fuse", R_OK | W_OK) == 0 else {
            throw Unavailable("only root can mount a stick")
        }
        let folder = try TestFolder.make()
        mount = folder + "/mount"
        let image = folder + "/image"
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        try Tool.run("truncate", ["-s", "\(Self.megabytes)M", image])
        try Tool.run("mkfs.exfat", [image])
        let device = try Tool.run("losetup", ["-f", "--show", image]).output
            .trimmingCharacters(in: .whitespacesAndNewlines)
        caretaker = try Caretaker(atEnd: "umount \(mount); losetup -d \(device); rm -rf \(folder)")
        try Tool.run("mount.exfat-fuse", [device, mount])
    }
}
