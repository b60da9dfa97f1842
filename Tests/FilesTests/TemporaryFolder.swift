import Files
import SystemPackage

/// A new folder for one test, removed with everything in it at the end.
func withTemporaryFolder<Result>(_ body: (FilePath) throws -> Result) throws -> Result {
    let files = LocalFileSystem()
    let folder = FilePath("/tmp").appending("consilium-test-\(UInt64.random(in: .min ... .max))")
    try files.makeDirectory(folder, permissions: 0o700)
    defer { try? files.removeTree(folder) }
    return try body(folder)
}
