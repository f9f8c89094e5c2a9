//! What a case is about, from the text by which Python shows an object.

use connectome_components::Optimizer;
use connectome_systems::kernels::Activation;
use std::collections::BTreeMap;

/// An object as Python prints it: its name, and what is said of it by keyword.
pub struct Printed {
    pub name: String,
    keywords: BTreeMap<String, String>,
}

impl Printed {
    /// `LeakyReLU(negative_slope=0.01)`.
    pub fn of_class(text: &str) -> Self {
        let (name, arguments) = text.split_once('(').unwrap_or((text, ""));
        let arguments = arguments.trim_end().trim_end_matches(')').split(", ");
        Self::new(name, arguments.filter_map(|argument| argument.split_once('=')))
    }

    /// `Adam (\nParameter Group 0\n    amsgrad: False\n    betas: (0.9, 0.999)\n ...)`.
    pub fn of_optimizer(text: &str) -> Self {
        let (name, lines) = text.split_once('(').unwrap_or((text, ""));
        Self::new(name, lines.lines().filter_map(|line| line.split_once(':')))
    }

    fn new<'a>(name: &str, keywords: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let keywords = keywords.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        Self { name: name.trim().to_owned(), keywords: keywords.collect() }
    }

    pub fn text(&self, keyword: &str) -> &str {
        self.keywords.get(keyword).map_or("", String::as_str)
    }

    pub fn number(&self, keyword: &str) -> Option<f32> {
        self.text(keyword).parse().ok()
    }

    pub fn required(&self, keyword: &str) -> super::Result<f32> {
        self.number(keyword).ok_or_else(|| format!("the text says no `{keyword}`").into())
    }

    pub fn count(&self, keyword: &str) -> Option<usize> {
        self.text(keyword).parse().ok()
    }

    pub fn is_true(&self, keyword: &str) -> bool {
        self.text(keyword) == "True"
    }

    /// Whether something is left out, off or 0.
    pub fn is_off(&self, keyword: &str) -> bool {
        matches!(self.text(keyword), "" | "False" | "None") || self.number(keyword) == Some(0.0)
    }

    pub fn activation(&self) -> Option<Activation> {
        match self.name.as_str() {
            "ReLU" => Some(Activation::Relu),
            "LeakyReLU" => self.number("negative_slope").map(Activation::LeakyRelu),
            "ELU" => self.number("alpha").map(Activation::Elu),
            "GELU" if self.text("approximate") == "'none'" => Some(Activation::Gelu),
            "Sigmoid" => Some(Activation::Sigmoid),
            "SiLU" => Some(Activation::Silu),
            // Beyond the threshold it is linear to the last bit of a float.
            "Softplus" if self.number("beta") == Some(1.0) && self.number("threshold") >= Some(20.0) => {
                Some(Activation::Softplus)
            }
            "Tanh" => Some(Activation::Tanh),
            _ => None,
        }
    }

    pub fn optimizer(&self) -> Option<Optimizer> {
        let foreign = ["maximize", "dampening", "centered"];
        if !foreign.iter().all(|keyword| self.is_off(keyword)) {
            return None;
        }
        let (learning_rate, weight_decay) = (self.number("lr")?, self.number("weight_decay")?);
        match self.name.as_str() {
            "SGD" => {
                let (momentum, nesterov) = (self.number("momentum")?, self.is_true("nesterov"));
                Some(Optimizer::Sgd { learning_rate, momentum, nesterov, weight_decay })
            }
            "Adam" if self.is_off("decoupled_weight_decay") => {
                let (betas, epsilon, amsgrad) = (self.betas()?, self.number("eps")?, self.is_true("amsgrad"));
                Some(Optimizer::Adam { learning_rate, betas, epsilon, amsgrad, weight_decay })
            }
            "AdamW" if self.is_off("amsgrad") => {
                let (betas, epsilon) = (self.betas()?, self.number("eps")?);
                Some(Optimizer::AdamW { learning_rate, betas, epsilon, weight_decay })
            }
            "RMSprop" if self.is_off("momentum") => {
                let (decay, epsilon) = (self.number("alpha")?, self.number("eps")?);
                Some(Optimizer::RmsProp { learning_rate, decay, epsilon, weight_decay })
            }
            _ => None,
        }
    }

    fn betas(&self) -> Option<(f32, f32)> {
        let (first, second) = self.text("betas").trim_matches(['(', ')']).split_once(',')?;
        Some((first.trim().parse().ok()?, second.trim().parse().ok()?))
    }
}
