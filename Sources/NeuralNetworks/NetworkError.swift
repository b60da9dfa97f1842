import Tensors

/// What can be wrong with a network, its tensors, its training options or a checkpoint.
///
/// Text: lower case, no full stop; what is wrong, on what, and what to do where that is not plain.
package struct NetworkError: Error, Equatable, CustomStringConvertible, Sendable {
    package enum Reason: String, Sendable {
        /// A layer graph whose shapes do not fit together.
        case invalidGraph
        /// Architecture, classes, image size or part name out of range.
        case invalidSpecification
        /// Missing, extra or misshapen tensors, or values that are not finite.
        case invalidTensors
        /// A training option out of range, or one that the data cannot serve.
        case invalidOptions
        /// A checkpoint that is damaged or belongs to another training.
        case invalidCheckpoint
        /// The data gave a label that is no class of the model.
        case invalidData
        /// The loss stopped being finite.
        case diverged
        /// More memory than the context allows.
        case tooLarge
    }

    package let reason: Reason
    package let detail: String

    package init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }

    package var description: String { detail }
}

extension ComputeContext {
    /// - Throws: ``NetworkError`` `.tooLarge`.
    func requireMemory(_ bytes: Int, for purpose: String) throws(NetworkError) {
        guard bytes > memoryLimit else { return }
        throw NetworkError(
            .tooLarge, "\(purpose) needs \(bytes >> 20) MiB of memory, \(memoryLimit >> 20) MiB are allowed")
    }
}
