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

    /// Of an error that is told elsewhere.
    static func of(_ error: any Error) -> ExitStatus { explain(error)?.status ?? .internalError }
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

    static let busy = CommandFailure(.temporary, "another run is at work on this home", hint: "try again in a moment")
}

/// An exit status without a word: everything has been said.
struct SilentExit: Error {
    let status: ExitStatus
}

/// Prints an error, and tells the exit status. The one place where errors become statuses.
func report(_ error: any Error) -> Int32 {
    if let silent = error as? SilentExit { return silent.status.rawValue }
    guard let failure = explain(error) else {
        // ArgumentParser's own: help, version, usage.
        let text = Consilium.fullMessage(for: error)
        let code = Consilium.exitCode(for: error)
        if code.isSuccess {
            Console.print(text)
            return ExitStatus.done.rawValue
        }
        Console.warn(text.hasPrefix("Error: ") ? String(text.dropFirst(7)) : text)
        return ExitStatus.usage.rawValue
    }
    Console.fail(failure.message, hint: failure.hint)
    return failure.status.rawValue
}

/// - Returns: nil for errors of the argument parser.
private func explain(_ error: any Error) -> CommandFailure? {
    switch error {
    case let error as CommandFailure: error
    case let error as FileError: CommandFailure(status(of: error), error.description)
    case let error as MailboxError: CommandFailure(status(of: error.kind), error.message, hint: error.hint)
    case let error as BundleError:
        error.cause.map { CommandFailure(status(of: $0), $0.description) }
            ?? CommandFailure(error.reason == .agentUnavailable ? .temporary : .badData, error.description)
    case let error as ConfigurationError: CommandFailure(.configuration, error.description)
    case let error as ServerError: CommandFailure(status(of: error.code), error.message, hint: error.hint)
    case let error as ClientError: CommandFailure(status(of: error.code), error.message, hint: error.hint)
    case let error as FederationError:
        CommandFailure(error.code == .badPlan ? .configuration : .badData, error.description)
    case let error as SafetensorsError:
        CommandFailure(error.code == .inputOutput ? .inputOutput : .badData, error.description)
    case let error as ImageError: CommandFailure(status(of: error), error.description)
    case let error as NetworkError:
        switch error.reason {
        case .invalidOptions: CommandFailure(.usage, error.description)
        case .tooLarge: CommandFailure(.unavailable, error.description)
        default: CommandFailure(.badData, error.description)
        }
    case let error as JSONError: CommandFailure(.badData, error.description)
    default: nil
    }
}

private func status(of error: FileError) -> ExitStatus {
    if error.isMissing { return .missingInput }
    if error.isTransient { return .temporary }
    return ["create", "make"].contains(error.operation) ? .cannotCreate : .inputOutput
}

private func status(of kind: MailboxError.Kind) -> ExitStatus {
    switch kind {
    case .notAHome, .wrongRole: .configuration
    case .exists: .cannotCreate
    case .identity, .trust: .refused
    case .clock, .configuration, .foreignKey: .configuration
    case .state: .internalError
    case .desk: .usage
    case .exchange: .temporary
    case .input, .missingKey: .missingInput
    case .bundle: .badData
    case .storage: .inputOutput
    case .temporary: .temporary
    }
}

private func status(of code: ServerError.Code) -> ExitStatus {
    switch code {
    case .missing: .missingInput
    case .notAllowed: .refused
    case .damaged: .internalError
    case .badInput: .badData
    }
}

private func status(of code: ClientError.Code) -> ExitStatus {
    switch code {
    case .missing: .missingInput
    case .unreadable: .inputOutput
    case .notAllowed: .refused
    case .damaged: .internalError
    case .temporary: .temporary
    case .badInput: .badData
    }
}

private func status(of error: ImageError) -> ExitStatus {
    switch error.reason {
    case .invalidOption: .usage
    case .outputExists: .cannotCreate
    case .folderMissing: .missingInput
    case .cannotWrite, .folderUnreadable: .inputOutput
    case .storageFailed: .temporary
    default: .badData
    }
}
