import Glibc
package import SystemPackage

/// The path from the root of the file system, so that nothing depends on the working directory after the start.
package func absolute(_ path: FilePath) -> FilePath {
    guard path.isRelative, let folder = getcwd(nil, 0) else { return path.lexicallyNormalized() }
    defer { free(folder) }
    return FilePath(platformString: folder).appending(path.components).lexicallyNormalized()
}
