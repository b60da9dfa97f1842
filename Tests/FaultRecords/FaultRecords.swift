import Glibc

/// What a test of the fault matrix has tried, for the page that `Scripts/fault-matrix.sh` makes.
package enum FaultRecords {
    /// Adds a line `SUITE.TEST <tab> POINTS` to the file that `CONSILIUM_FAULTS` names, if it names one. Lines of one test add up.
    ///
    /// - Parameter points: how many faults were tried, counted by the test itself.
    package static func record(points: Int, file: String = #fileID, test: String = #function) {
        add("\(name(file, test))\t\(points)", to: "CONSILIUM_FAULTS")
    }

    /// Adds a line `SUITE.TEST <tab> skipped <tab> REASON`: one of a test's cases needs what this machine does not have. A test
    /// that needs it as a whole is rather not enabled.
    package static func skip(_ reason: String, file: String = #fileID, test: String = #function) {
        print("skipped: \(reason)")
        add("\(name(file, test))\tskipped\t\(reason)", to: "CONSILIUM_FAULTS")
    }

    /// Adds a line `SUITE <tab> STEP <tab> KIND <tab> TRIED <tab> ALL` to the file that `CONSILIUM_SWEEPS` names, for
    /// `Scripts/torture.sh`.
    package static func sweep(step: String, kind: String, tried: Int, of all: Int, file: String = #fileID) {
        add("\(suite(file))\t\(step)\t\(kind)\t\(tried)\t\(all)", to: "CONSILIUM_SWEEPS")
    }

    private static func suite(_ file: String) -> Substring {
        file.split(separator: "/").last?.prefix { $0 != "." } ?? ""
    }

    private static func name(_ file: String, _ test: String) -> String { "\(suite(file)).\(test.prefix { $0 != "(" })" }

    private static func add(_ line: String, to variable: String) {
        guard let path = getenv(variable).map({ String(cString: $0) }), !path.isEmpty else { return }
        // One write of an appended line is never torn by another process or thread.
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        let line = line + "\n"
        _ = line.withCString { write(descriptor, $0, strlen($0)) }
        close(descriptor)
    }
}
