package import SystemPackage

extension FileSystem {
    /// The crash-safe write of the whole project. Whatever happens, the path leads to the old content or to the new.
    ///
    /// Temporary name in the same folder, write, fsync, close, open again and compare the size, rename, fsync the folder.
    /// An error in the last step leaves the new content in place, only not yet safe from a loss of power.
    package func writeFile(_ path: FilePath, _ bytes: [UInt8], permissions: UInt32 = 0o644) throws(FileError) {
        let replacement = try Replacement(of: path, permissions: permissions, in: self)
        do {
            try replacement.file.write(bytes)
            try replacement.finishWriting()
            try replacement.commit()
        } catch {
            replacement.discard()
            throw error
        }
    }

    /// The streaming form of ``writeFile(_:_:permissions:)``. Nothing appears at `path` if `produce` or `check` throws.
    /// - Parameter check: looks at the finished temporary file before it gets its name.
    package func writeFile(
        _ path: FilePath, permissions: UInt32 = 0o644, checking check: (FilePath) throws -> Void = { _ in },
        _ produce: (inout any WritableFile) throws -> Void
    ) throws {
        let replacement = try Replacement(of: path, permissions: permissions, in: self)
        do {
            var file: any WritableFile = replacement.file
            try produce(&file)
            try replacement.finishWriting()
            try check(replacement.temporary)
            try replacement.commit()
        } catch {
            replacement.discard()
            throw error
        }
    }

    /// Copies a regular file with the care of ``writeFile(_:_:permissions:)``, replacing what is at `target`.
    /// - Throws: EFBIG if the source turns out to have more than `limit` bytes.
    package func copyFile(
        from source: FilePath, to target: FilePath, permissions: UInt32 = 0o644, limit: Int64 = .max
    ) throws(FileError) {
        let input = try openForReading(source)
        let replacement = try Replacement(of: target, permissions: permissions, in: self)
        do {
            try copyContent(of: input, source, to: replacement.file, limit: limit)
            try replacement.finishWriting()
            try replacement.commit()
        } catch {
            replacement.discard()
            throw error
        }
    }

    /// Copies a file to a share or a stick: as ``copyFile(from:to:permissions:limit:)``, and the temporary file, whose name
    /// ends in `.part`, is read back from the medium and compared with the source before it gets its name. A published file is never
    /// changed: equal content already there is success, other content an error.
    package func publishFile(from source: FilePath, to target: FilePath, permissions: UInt32 = 0o644) throws(FileError)
    {
        if try exists(target) {
            guard try haveEqualContent(source, target) else {
                throw FileError("publish", target, .fileExists, hint: "a file with other content has this name already")
            }
            // An earlier run may have been stopped between the rename and this.
            return try synchronizeDirectory(target.folder)
        }
        let input = try openForReading(source)
        // Known beforehand: four gigabytes need not be written to find out.
        if let most = try volume(of: target.folder)?.largestFile, try input.status().size > most {
            throw FileError("publish", target, .fileTooLarge)
        }
        let replacement = try Replacement(of: target, permissions: permissions, in: self)
        do throws(FileError) {
            try copyContent(of: input, source, to: replacement.file, limit: .max)
            try replacement.finishWriting()
            let isEqual = try replacement.naming { () throws(FileError) in
                try haveEqualContent(source, replacement.temporary, fromMedium: true)
            }
            guard isEqual else {
                throw FileError("publish", target, .ioError, hint: "what was read back differs from what was written")
            }
            try replacement.commit()
        } catch {
            replacement.discard()
            throw error
        }
    }

    /// Adds to the end of a file and flushes it. Not atomic: a reader must expect a torn last record.
    package func appendFile(_ path: FilePath, _ bytes: [UInt8], permissions: UInt32 = 0o644) throws(FileError) {
        let isNew = try !exists(path)
        let file = try openForAppending(path, permissions: permissions)
        try file.write(bytes)
        try file.synchronize()
        try file.close()
        if isNew { try synchronizeDirectory(path.folder) }
    }

    /// Cuts off a file's end and flushes that. It takes no room, so that it goes on a full disk too.
    package func truncateFile(_ path: FilePath, to size: Int64) throws(FileError) {
        let file = try openForAppending(path, permissions: 0o644)
        try file.truncate(to: size)
        try file.synchronize()
        try file.close()
    }

    private func copyContent(
        of input: any ReadableFile, _ source: FilePath, to output: any WritableFile, limit: Int64
    ) throws(FileError) {
        var offset: Int64 = 0
        while true {
            let chunk = try input.bytes(at: offset, count: fileChunkSize)
            if chunk.isEmpty { return }
            offset += Int64(chunk.count)
            guard offset <= limit else {
                throw FileError("copy", source, .fileTooLarge, hint: "at most \(limit) bytes are accepted here")
            }
            try output.write(chunk)
        }
    }
}

extension WritableFile {
    /// Writes everything.
    package func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        var rest = bytes
        while !rest.isEmpty {
            let count = try writeSome(rest)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        }
    }

    /// Writes everything.
    package func write(_ bytes: [UInt8]) throws(FileError) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in try write(UnsafeRawBufferPointer(buffer)) }
    }
}
