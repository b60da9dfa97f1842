import Bundles
import Federation
package import Files
package import SystemPackage
package import Tensors
package import Wire

/// Models on the server's disk: taken apart into what trains and what is frozen, put together again, tensor by tensor, so
/// that memory does not grow with the model. The server knows tensors by name, part and role; it knows nothing of networks.
package enum ModelFiles {
    /// Opens a model file of this home.
    package static func open(_ path: FilePath) throws -> MappedSafetensors {
        do {
            return try MappedSafetensors(path: path.string)
        } catch {
            throw ServerError(.damaged, "\(path): \(error)", hint: "restore it from a backup")
        }
    }

    /// Writes some tensors of some models as one file; where a name is in several sources, the last one wins.
    ///
    /// - Returns: the file's digest.
    package static func write(
        _ sources: [any TensorSource], metadata: [String: String] = [:], to path: FilePath, files: any FileSystem,
        keeping isKept: (TensorLayout) -> Bool = { _ in true }
    ) throws -> Digest {
        try files.makeDirectories(path.removingLastComponent())
        try write(to: path, files: files) { sink in
            try ModelParts.write(sources, metadata: metadata, keeping: isKept, to: sink)
        }
        return try SHA256Hash.digest(of: path, files: files).digest
    }

    /// Hands a sink for raw bytes to `produce`, and publishes the file when that has returned.
    package static func write(
        to path: FilePath, files: any FileSystem,
        produce: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        try files.writeFile(path, permissions: 0o644) { output in
            try produce { bytes in try output.write(bytes) }
        }
    }
}
