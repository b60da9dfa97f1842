import ArgumentParser
import Bundles
import Client
import Configuration
import Federation
import Files
import Images
import Mailbox
import NeuralNetworks
import Server
import Tensors
import Wire

/// Exit statuses, after `sysexits.h`. Zero also means "nothing to do" and "waiting for other sites".
enum ExitStatus: Int32, CaseIterable {
    case done = 0
    case usage = 64
    case badData = 65
    case missingInput = 66
    case unavailable = 69
    case internalError = 70
    case cannotCreate = 73
    case inputOutput = 74
    case temporary = 75
    case refused = 77
    case configuration = 78
}

/// A failure that already knows its exit status.
struct CommandFailure: Error {
    let status: ExitStatus
    let message: String
    let hint: String?

    init(_ status: ExitStatus, _ message: String, hint: String? = nil) {
        self.status = status
        self.message = message
        self.hint = hint
    }
}
