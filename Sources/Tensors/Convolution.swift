/// One convolution of fixed shape: forward pass and both gradients. Nothing is allocated by a pass; every pass may use
/// `workspaceCount` floats of scratch memory, whose contents before and after have no meaning.
///
/// Pointers need only Float's alignment (64 bytes is faster); outputs may not overlap inputs or the workspace.
/// Shapes of all tensors: ``ConvolutionShape``.
package struct Convolution: Sendable {
    package let shape: ConvolutionShape
    package let context: ComputeContext

    package init(_ shape: ConvolutionShape, context: ComputeContext) {
        self.shape = shape
        self.context = context
    }

    /// Floats of workspace that any of the passes needs at most.
    package var workspaceCount: Int { 0 }

    /// `output = input * weight + bias`, see ``Reference/convolution(_:input:weight:bias:output:)``.
    package func forward(
        input: UnsafePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
        output: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>
    ) {
        Reference.convolution(shape, input: input, weight: weight, bias: bias, output: output)
    }

    /// Overwrites `inputGradient` (shape of the input) with the gradient of the loss by the input.
    package func inputGradient(
        outputGradient: UnsafePointer<Float>, weight: UnsafePointer<Float>,
        inputGradient: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>
    ) {
        Reference.convolutionInputGradient(
            shape, outputGradient: outputGradient, weight: weight, inputGradient: inputGradient)
    }

    /// Overwrites `weightGradient` (shape of the weight) with the gradient of the loss by the weight.
    package func weightGradient(
        input: UnsafePointer<Float>, outputGradient: UnsafePointer<Float>,
        weightGradient: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>
    ) {
        Reference.convolutionWeightGradient(
            shape, input: input, outputGradient: outputGradient, weightGradient: weightGradient)
    }
}
