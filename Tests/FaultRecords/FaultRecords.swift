import Glibc

/// What a test of the fault matrix has tried, for the table that `Scripts/fault-matrix.sh` makes.
package enum FaultRecords {
    /// Adds a line `SUITE.TEST <tab> POINTS` to the file that `CONSILIUM_FAULTS` names, if it names one. Lines of one test add up.
    ///
    /// - Parameter points: how many faults were tried, counted by the test itself.
    package static func record(points: Int, file: String = #fileID, test: String = #function) {
        guard let path = getenv("CONSILIUM_FAULTS").map({ String(cString: $0) }), !path.isEmpty else { return }
        let suite = file.split(separator: "/").last?.prefix { $0 != "." } ?? ""
        let line = "\(suite).\(test.prefix { $0 != "(" })\t\(points)\n"
        // One write of an appended line is never torn by another process or thread.
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        _ = line.withCString { write(descriptor, $0, strlen($0)) }
        close(descriptor)
    }
}
